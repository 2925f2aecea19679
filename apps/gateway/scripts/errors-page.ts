import { FAULTS, type FaultKind, type FaultName } from "../src/fault.ts";
import { REASONS, type ReasonKind } from "../src/judge/reason.ts";
import { FAULT_ADVICE, REASON_ADVICE, type Advice } from "./error-advice.ts";

/**
 * `docs/errors.md`: every refusal and fault. Each heading is the last part of a problem's `type`, so that the anchor of
 * the page is found from the answer. Kinds that share a name share a heading.
 */
export function errorsPage(): string {
  const entries = [...Object.keys(REASONS).filter(isRefusal).map(refusal), ...faults()];
  const names = [...new Set(entries.map(({ name }) => name))];
  const index = names.map((name) => {
    const first = entries.filter((entry) => entry.name === name);
    const statuses = [...new Set(first.map(({ status }) => status))].join(", ");
    return `| ${statuses} | [${name}](#${name}) | ${first[0]?.title ?? ""} |`;
  });
  const details = names.flatMap((name) => [
    `## ${name}`,
    "",
    ...entries.filter((entry) => entry.name === name).flatMap(renderEntry),
  ]);
  return `${[...INTRODUCTION, ...index, "", ...details].join("\n").trimEnd()}\n`;
}

const INTRODUCTION = [
  "# Refusals and errors",
  "",
  "Every answer that the gateway itself gives to a call it does not forward is a problem document (RFC 9457,",
  "`application/problem+json`): `type` ends with a name of this page, `instance` is the id under which the log has the",
  "call. A live WebSocket is told by a close code whose reason begins with the word below, and so is a page whose",
  "handshake is refused ([sockets.md](sockets.md)): **44xx: do not come back without doing what it says. 45xx: come back,",
  'after the wait given.** With `closeProfile: "standard"` only codes of RFC 6455 are sent. What would help somebody who',
  "guesses is in the log alone.",
  "",
  "| status | type | title |",
  "| --- | --- | --- |",
];

interface Entry {
  readonly name: string;
  readonly status: number;
  readonly title: string;
  readonly facts: readonly string[];
  readonly advice: Advice;
}

type Refused = keyof typeof REASON_ADVICE;

const isRefusal = (name: string): name is Refused => Object.hasOwn(REASON_ADVICE, name);

function refusal(key: Refused): Entry {
  const { name, status, title, closeCode, closeWord, closes }: ReasonKind = REASONS[key];
  const facts = [`HTTP ${status}`, `close code ${closeCode} \`${closeWord}\``];
  if (closes) facts.push("the HTTP connection ends");
  return { name, status, title, facts, advice: REASON_ADVICE[key] };
}

function faults(): Entry[] {
  return Object.keys(FAULTS)
    .filter(isFault)
    .map((key) => {
      const { status, title, closeCode, retry }: FaultKind = FAULTS[key];
      const facts = [`HTTP ${status}`, `close code ${closeCode}`, RETRY[retry]];
      return { name: key.replaceAll("_", "-"), status, title, facts, advice: FAULT_ADVICE[key] };
    });
}

const isFault = (name: string): name is FaultName => Object.hasOwn(FAULTS, name);

const RETRY: Readonly<Record<FaultKind["retry"], string>> = {
  always: "safe to send again",
  "if-idempotent": "safe to send again if idempotent",
  never: "not sent again by the gateway",
};

const renderEntry = ({ title, facts, advice }: Entry): string[] => [
  `**${title}** (${facts.join("; ")})`,
  "",
  advice.means,
  "",
  `*Client:* ${advice.client}`,
  "",
];
