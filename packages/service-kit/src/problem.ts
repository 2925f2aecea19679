import { Type, type Static } from "typebox";
import type { Fault, FaultTable } from "./fault.ts";

export const PROBLEM_MEDIA_TYPE = "application/problem+json";

/** The body of every refusal (RFC 9457). */
export const ProblemSchema = Type.Object(
  {
    type: Type.String({
      format: "uri-reference",
      description: "The page that explains this kind of problem; compare it as a string.",
    }),
    title: Type.String(),
    status: Type.Integer({ minimum: 400, maximum: 599 }),
    detail: Type.String({ description: "What went wrong this time." }),
    instance: Type.String({
      format: "uri",
      description: "Names this occurrence; the service's log has the same name.",
    }),
    errors: Type.Optional(
      Type.Array(
        Type.Object(
          {
            pointer: Type.String({
              description:
                "JSON pointer into the body as a URI fragment (`#/title`), or `#/query/…`, `#/path/…`, `#/header/…`.",
            }),
            detail: Type.String(),
          },
          { additionalProperties: false },
        ),
      ),
    ),
  },
  { title: "Problem", additionalProperties: false },
);

export type Problem = Static<typeof ProblemSchema>;

/**
 * The wire form of a fault.
 * @param options.problemsUrl the page made by `problemPage`; each code is a fragment of it
 * @param options.errorId the name under which the log has this occurrence
 */
export function toProblem(
  fault: Fault,
  options: { readonly problemsUrl: string; readonly errorId: string },
): Problem {
  return {
    type: `${options.problemsUrl}#${toSlug(fault.code)}`,
    title: fault.kind.title,
    status: fault.kind.status,
    // The text of a fault on our side may name tables, files or hosts: it stays in the log.
    detail: fault.kind.side === "us" ? fault.kind.meaning : fault.message,
    instance: `urn:uuid:${options.errorId}`,
    ...(fault.mistakes.length > 0 && { errors: fault.mistakes.map((mistake) => ({ ...mistake })) }),
  };
}

/** The page that `type` points at: one section for each row of the table, in HTML without scripts or styles from elsewhere. */
export function problemPage(serviceName: string, table: FaultTable): string {
  const rows = Object.entries(table).map(
    ([code, kind]) =>
      `<section id="${toSlug(code)}"><h2>${kind.status} ${escapeHtml(kind.title)}</h2>` +
      `<p><code>${toSlug(code)}</code> · retry: ${kind.retry}</p><p>${escapeHtml(kind.meaning)}</p></section>`,
  );
  return (
    `<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Problems of ${escapeHtml(serviceName)}</title></head>` +
    `<body><h1>Problems of ${escapeHtml(serviceName)}</h1>${rows.join("")}</body></html>`
  );
}

/** How a fault's code is written in a URL. */
export function toSlug(code: string): string {
  return code.replaceAll("_", "-");
}

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.codePointAt(0)};`);
}
