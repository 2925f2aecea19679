import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { waitFor } from "@tidegate/testkit";

/** Letters in the provider's outbox folder as texts, the newest first. */
export async function lettersOf(identity: { readonly folder: string }): Promise<string[]> {
  const outbox = join(identity.folder, "outbox");
  const names = (await readdir(outbox)).filter((name) => name.endsWith(".eml"));
  const texts = await Promise.all(
    names
      .toSorted()
      .toReversed()
      .map((name) => readFile(join(outbox, name), "utf8")),
  );
  // Undoes quoted-printable as far as our ASCII letters need it.
  return texts.map((text) => text.replaceAll("=\r\n", "").replaceAll("=3D", "="));
}

/** Waits for a letter to this address that contains a text. */
export function letterTo(
  identity: { readonly folder: string },
  email: string,
  containing: string,
): Promise<string> {
  return waitFor(
    async () =>
      (await lettersOf(identity)).find(
        (text) => text.includes(`To: ${email}`) && text.includes(containing),
      ),
    { what: `a letter to ${email} containing ${containing}` },
  );
}
