import { cliPage } from "./cli-page.ts";
import { configPage } from "./config-page.ts";
import { editorSchema } from "./editor-schema.ts";
import { errorsPage } from "./errors-page.ts";

const docs = new URL("../../../docs/", import.meta.url);

/** Every generated page: where it is, and what it must hold. */
export const PAGES: readonly { readonly url: URL; readonly render: () => string }[] = [
  { url: new URL("config.md", docs), render: configPage },
  { url: new URL("errors.md", docs), render: errorsPage },
  { url: new URL("cli.md", docs), render: cliPage },
  { url: new URL("tidegate.schema.json", docs), render: editorSchema },
];
