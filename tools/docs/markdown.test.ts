import assert from "node:assert/strict";
import { test } from "node:test";
import { anchors, codeBlocks, links } from "./markdown.ts";

const SAMPLE = `# A title, with \`code\` & more

[one](a.md) and \`[not](code.md)\` and [two](<b.md#x> "Title") ![image](c.png)

\`\`\`sh
# not a heading [no](link.md)
echo one
\`\`\`

## Twice
## Twice

~~~ts fragment
const a = 1;
~~~
`;

test("codeBlocks() finds language, code and line", () => {
  assert.deepEqual(codeBlocks(SAMPLE), [
    { language: "sh", isFragment: false, code: "# not a heading [no](link.md)\necho one", line: 5 },
    { language: "ts", isFragment: true, code: "const a = 1;", line: 13 },
  ]);
});

test("links() finds targets outside code", () => {
  assert.deepEqual(links(SAMPLE), ["a.md", "b.md#x", "c.png"]);
});

test("anchors() are made as GitHub makes them, and only of headings", () => {
  assert.deepEqual([...anchors(SAMPLE)], ["a-title-with-code--more", "twice", "twice-1"]);
});
