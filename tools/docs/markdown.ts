// Just enough Markdown to find code blocks, links and headings.

export interface CodeBlock {
  /** The first word after the fence: `sh`, `ts`, … Empty when there is none. */
  readonly language: string;
  /** Marked ```` ```ts fragment ````: a piece of code that uses names from around it. */
  readonly isFragment: boolean;
  readonly code: string;
  /** Where the fence stands, counted from 1. */
  readonly line: number;
}

/** Fenced code blocks in order. */
export function codeBlocks(text: string): CodeBlock[] {
  const blocks: CodeBlock[] = [];
  const lines = text.split("\n");
  for (let at = 0; at < lines.length; at += 1) {
    const opening = /^ {0,3}(`{3,}|~{3,}) *([^\s`]*)([^`]*)$/.exec(lines[at] ?? "");
    if (!opening) continue;
    const [, fence = "", language = "", more = ""] = opening;
    const start = at + 1;
    at = start;
    while (at < lines.length && !(lines[at] ?? "").trimStart().startsWith(fence)) at += 1;
    const isFragment = more.trim() === "fragment";
    blocks.push({ language, isFragment, code: lines.slice(start, at).join("\n"), line: start });
  }
  return blocks;
}

/** Targets of `[text](target)` outside code. */
export function links(text: string): string[] {
  const prose = withoutCode(text);
  return [...prose.matchAll(/\]\(<?([^)\s>]+)>?(?: "[^"]*")?\)/g)].map((match) => match[1] ?? "");
}

/** The anchors that headings offer, made as GitHub makes them. */
export function anchors(text: string): Set<string> {
  const seen = new Map<string, number>();
  const found = new Set<string>();
  for (const [, title = ""] of withoutCode(text, { keepsInline: true }).matchAll(
    /^#{1,6} +(.+)$/gm,
  )) {
    const plain = title.replaceAll(/\[([^\]]*)\]\([^)]*\)/g, "$1").replaceAll(/[`*]/g, "");
    const slug = plain
      .trim()
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}\s_-]/gu, "")
      .replaceAll(/\s/g, "-");
    const count = seen.get(slug) ?? 0;
    seen.set(slug, count + 1);
    found.add(count === 0 ? slug : `${slug}-${count}`);
  }
  return found;
}

function withoutCode(text: string, options: { readonly keepsInline?: boolean } = {}): string {
  const prose = text.replaceAll(/^ {0,3}(`{3,}|~{3,})[^]*?^ {0,3}\1.*$/gm, "");
  return options.keepsInline === true ? prose : prose.replaceAll(/`[^`\n]*`/g, "");
}
