import type { FastifyReply, FastifyRequest } from "fastify";
import { FRESH_FORM, type FormState } from "../pages/form-state.ts";
import type { BrowserKey } from "./browser-key.ts";
import { readCookie, setCookie } from "./cookies.ts";

/** A form's outcome, told by the page that the browser is sent to. */
export interface FlashMessage extends FormState {
  /** Which form it was: each page takes its own messages alone. */
  readonly form: string;
}

/**
 * Carries what became of a form to the next page. Every form is answered with 303, also one that was refused, so that reloading
 * never sends a password again; the problems and what was typed (never a password) travel in a signed cookie for a minute.
 */
export interface Flash {
  set(reply: FastifyReply, message: FlashMessage): void;
  /** The message for one of these forms, if there is one; it is told once. */
  take(
    exchange: { readonly request: FastifyRequest; readonly reply: FastifyReply },
    ...forms: readonly string[]
  ): FlashMessage | undefined;
}

export function createFlash({ key }: { readonly key: BrowserKey }): Flash {
  return {
    set(reply, message) {
      const body = encode(message);
      setCookie(reply, {
        name: COOKIE,
        value: `${body}.${key.sign("flash", body)}`,
        maxAgeSeconds: MAX_AGE_SECONDS,
      });
    },
    take({ request, reply }, ...forms) {
      const [body = "", signature = ""] = (readCookie(request, COOKIE) ?? "").split(".");
      // Signed, or another port of this host could put words on our page.
      if (body === "" || !key.verify("flash", body, signature)) return undefined;
      const message = JSON.parse(Buffer.from(body, "base64url").toString()) as FlashMessage;
      if (!forms.includes(message.form)) return undefined;
      setCookie(reply, { name: COOKIE, value: "", maxAgeSeconds: 0 });
      return message;
    },
  };
}

/** The state of a form of which nothing is told. */
export const stateOf = (message: FlashMessage | undefined): FormState => message ?? FRESH_FORM;

function encode(message: FlashMessage): string {
  const values = Object.fromEntries(
    Object.entries(message.values).map(([name, value]) => [name, value.slice(0, MAX_VALUE_LENGTH)]),
  );
  const text = Buffer.from(JSON.stringify({ ...message, values })).toString("base64url");
  // A cookie holds 4,096 bytes. Text in other scripts may be three times as long as it looks; then it is typed again.
  if (text.length <= MAX_BODY_LENGTH) return text;
  return Buffer.from(JSON.stringify({ ...message, values: {} })).toString("base64url");
}

const COOKIE = "__Host-identity-flash";
const MAX_AGE_SECONDS = 60;
const MAX_VALUE_LENGTH = 254;
const MAX_BODY_LENGTH = 3_000;
