import { FAULTS, type FaultName } from "../fault.ts";
import type { ReasonKind } from "../judge/reason.ts";

/** An RFC 9457 problem document as an answer. */
export interface ProblemAnswer {
  readonly status: number;
  /** Flat list, Content-Length left out. */
  readonly fields: string[];
  readonly body: string;
}

export interface ProblemOptions {
  /** Where the pages that explain each type are; the name of the reason or fault follows. */
  readonly typeBase: string;
  /** The error id that the log has. */
  readonly requestId: string;
  readonly detail?: string | undefined;
  /** Further members of the document. */
  readonly members?: Readonly<Record<string, unknown>> | undefined;
  readonly fields?: readonly string[] | undefined;
}

/** The answer to a refused call. */
export function refusalProblem(kind: ReasonKind, options: ProblemOptions): ProblemAnswer {
  return problem({ name: kind.name, status: kind.status, title: kind.title }, options);
}

/** The answer when something failed. Says nothing that the log alone should know. */
export function faultProblem(kind: FaultName, options: ProblemOptions): ProblemAnswer {
  const { status, title } = FAULTS[kind];
  return problem({ name: kind.replaceAll("_", "-"), status, title }, options);
}

function problem(
  { name, status, title }: { name: string; status: number; title: string },
  { typeBase, requestId, detail, members, fields }: ProblemOptions,
): ProblemAnswer {
  const document = {
    type: `${typeBase}${name}`,
    title,
    status,
    ...(detail === undefined ? {} : { detail }),
    instance: `urn:tidegate:request:${requestId}`,
    ...members,
  };
  return {
    status,
    fields: [
      "Content-Type",
      "application/problem+json",
      "Cache-Control",
      "no-store",
      "X-Request-Id",
      requestId,
      ...(fields ?? []),
    ],
    body: `${JSON.stringify(document)}\n`,
  };
}
