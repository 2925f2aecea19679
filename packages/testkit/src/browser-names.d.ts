// playwright-core's types name what lives in a page. Servers and their tests must not see the whole DOM as if it were
// theirs, so only these names exist here, and opaque: they carry handles between calls.

interface Node {
  readonly nodeType: number;
}
interface HTMLElement extends Node {
  readonly tagName: string;
}
interface SVGElement extends Node {
  readonly tagName: string;
}
type HTMLElementTagNameMap = Record<string, HTMLElement>;
