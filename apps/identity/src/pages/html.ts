import assert from "node:assert/strict";

/** Markup that is safe to send: made only by the `html` template. */
export class Html {
  readonly #text: string;
  private constructor(text: string) {
    this.#text = text;
  }
  toString(): string {
    return this.#text;
  }
  /** For the template alone. */
  static fromTemplate(text: string): Html {
    return new Html(text);
  }
}

/** What may stand in a template. `false` and `undefined` are nothing, so that `${isOpen && html`…`}` reads well. */
export type HtmlValue = Html | string | number | false | undefined | readonly HtmlValue[];

/**
 * Markup with values in it. Text is escaped for the place where it stands, and a value can stand in three places alone:
 * between tags, inside a double-quoted attribute, and (only `Html`, for attributes that may be missing) inside a tag. All else
 * is a bug of the template and throws when the page is made: unquoted attributes, comments, tag and attribute names,
 * event handlers, `style`, and whatever is inside `<script>` and `<style>` cannot be made safe by escaping.
 */
export function html(strings: TemplateStringsArray, ...values: readonly HtmlValue[]): Html {
  const places = placesOf(strings);
  let text = strings[0]!;
  for (const [index, value] of values.entries()) {
    text += write(value, places[index]!) + strings[index + 1]!;
  }
  return Html.fromTemplate(text);
}

type Place = "text" | "attribute" | "address" | "tag";

function write(value: HtmlValue, place: Place): string {
  if (value === false || value === undefined) return "";
  if (typeof value === "string" || typeof value === "number") {
    assert(place !== "tag", "text cannot stand inside a tag");
    return escape(place === "address" ? checkAddress(String(value)) : String(value));
  }
  if (value instanceof Html) {
    assert(place === "text" || place === "tag", "markup cannot stand inside an attribute");
    return value.toString();
  }
  return value.map((one) => write(one, place)).join("");
}

/** The five characters that can end a text or an attribute; what HTML cannot hold at all becomes U+FFFD. */
function escape(text: string): string {
  return text
    .toWellFormed()
    .replaceAll(UNWRITABLE, "\uFFFD")
    .replaceAll(/[&<>"']/g, (character) => ESCAPES[character]!);
}

const ESCAPES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};
/** NUL and the other controls but tab and line ends; noncharacters (HTML §13.2.3.5: parse errors). A lone CR would be read as LF. */
const UNWRITABLE =
  // oxlint-disable-next-line no-control-regex -- they are what is looked for
  /[\u0000-\u0008\u000B-\u001F\u007F-\u009F\uFDD0-\uFDEF]|[\u{FFFE}\u{FFFF}]/gu;

/** A link or form may lead to a path of ours or to http(s): `javascript:` runs even where scripts are forbidden to load. */
function checkAddress(address: string): string {
  const isPath = /^\/(?![/\\])/.test(address) || /^[?#]/.test(address) || address === "";
  assert(isPath || /^https?:\/\//.test(address), "an address is a path or http(s)");
  return address;
}

/** Each template is looked at once; there are as many as in the source. */
const seen = new WeakMap<TemplateStringsArray, readonly Place[]>();

function placesOf(strings: TemplateStringsArray): readonly Place[] {
  let places = seen.get(strings);
  if (places === undefined) {
    places = findPlaces(strings);
    seen.set(strings, places);
  }
  return places;
}

function findPlaces(strings: readonly string[]): Place[] {
  const places: Place[] = [];
  let state: "text" | "tag" | "value" = "text";
  let attribute = "";
  for (const [index, part] of strings.entries()) {
    assert(!/<!--|<\/?(?:script|style)\b/i.test(part), "no comment, script or style in a template");
    for (let at = 0; at < part.length; at++) {
      const character = part[at]!;
      if (state === "text") {
        if (character === "<") state = "tag";
      } else if (state === "value") {
        if (character === '"') state = "tag";
      } else if (character === ">") {
        state = "text";
      } else if (character === '"') {
        state = "value";
        attribute = /([a-z-]+)="?$/i.exec(part.slice(0, at + 1))?.[1]?.toLowerCase() ?? "";
        assert(attribute !== "", "an attribute's name stands right before its value");
      } else {
        assert(character !== "'", "attributes are quoted by double quotes");
      }
    }
    if (index === strings.length - 1) break;
    if (state === "text") {
      assert(!part.endsWith("<"), "a value cannot name a tag");
      places.push("text");
    } else if (state === "value") {
      assert(!/^on|^style$|^srcdoc$/.test(attribute), `no value can stand in ${attribute}`);
      places.push(/^(?:href|action|formaction|src)$/.test(attribute) ? "address" : "attribute");
    } else {
      assert(/\s$/.test(part), "a value inside a tag stands behind a space");
      places.push("tag");
    }
  }
  assert(state === "text", "a template ends outside of tags");
  return places;
}
