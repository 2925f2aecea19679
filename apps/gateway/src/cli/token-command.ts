import { createHash } from "node:crypto";
import type { Clock, Random } from "@tidegate/clock";
import { ProviderClient, type ProviderAnswer } from "../browser-session/provider-client.ts";
import { signInByForms } from "./form-browser.ts";
import { listenForAnswer } from "./loopback-answer.ts";
import { EXIT, type ExitCode, type Terminal } from "./terminal.ts";
import { findTokenPlace, type TokenPlace, type TokenWish } from "./token-place.ts";

export interface TokenCall extends TokenWish {
  /** Whether the machine's browser is opened. */
  readonly isOpened: boolean;
  readonly isJson: boolean;
}

export interface TokenParts {
  readonly terminal: Terminal;
  readonly clock: Clock;
  readonly random: Random;
  /** Opens an address in the person's browser. @returns whether there is a program for it */
  readonly openBrowser: (url: string) => Promise<boolean>;
}

/**
 * Signs somebody in at an OpenID provider and prints the access token: authorization code with PKCE as a public native
 * client, answered on loopback (RFC 8252). Keeps nothing.
 * @throws {ConfigError} when the configuration cannot be used
 */
export async function tokenCommand(parts: TokenParts, call: TokenCall): Promise<ExitCode> {
  const { terminal } = parts;
  const { isJson } = call;
  try {
    const place = await findTokenPlace(terminal, call);
    const tokens = await signIn(parts, place, call.isOpened);
    terminal.print(isJson ? JSON.stringify(toJson(place, tokens)) : tokens.accessToken);
    return EXIT.fine;
  } catch (error) {
    // What provider, file or person refused comes as a plain error; every other class is a bug or a bad configuration.
    if (!(error instanceof Error) || error.name !== "Error") throw error;
    if (isJson) terminal.print(JSON.stringify({ ok: false, error: error.message }));
    else terminal.complain(error.message);
    return EXIT.failed;
  }
}

type Tokens = Awaited<ReturnType<typeof signIn>>;

async function signIn(
  { terminal, clock, random, openBrowser }: TokenParts,
  place: TokenPlace,
  isOpened: boolean,
) {
  const client = new ProviderClient({
    ...place,
    clientSecret: undefined,
    clientAuthentication: "none",
    authorizationParameters: place.parameters,
    clock,
  });
  const secret = (): string => random.bytes(32).toString("base64url");
  const state = secret();
  const nonce = secret();
  const verifier = secret();
  await using loopback = await listenForAnswer({ state, waitMs: WAIT_MS, clock });
  const { redirectUri } = loopback;
  const url = valueOf(
    place,
    await client.authorizationUrl({
      redirectUri,
      state,
      nonce,
      challenge: createHash("sha256").update(verifier).digest("base64url"),
      acr: [],
      maxAgeSeconds: undefined,
      prompt: undefined,
      idTokenHint: undefined,
    }),
  );
  if (place.answers !== undefined)
    await signInByForms(url, { redirectUri, answers: place.answers });
  else {
    terminal.complain(`Sign in with a browser of this machine:\n\n  ${url.href}\n`);
    if (isOpened && !(await openBrowser(url.href)))
      terminal.complain("No browser could be opened (xdg-open): open the address yourself.");
  }
  const answer = await loopback.answer();
  // Compares state, and the issuer that answered where the provider names itself (RFC 9207).
  return valueOf(
    place,
    await client.redeem(answer, { state, nonce, verifier, maxAgeSeconds: undefined }),
  );
}

function valueOf<Value>({ issuer }: TokenPlace, answer: ProviderAnswer<Value>): Value {
  switch (answer.outcome) {
    case "granted":
      return answer.value;
    case "refused":
      throw new Error(`Cannot sign in at ${issuer}: it refused (${printable(answer.error)})`);
    case "invalid":
      throw new Error(
        `Cannot sign in at ${issuer}: the answer is not as asked for (${printable(answer.why)})`,
      );
    case "unavailable":
      throw new Error(`Cannot sign in at ${issuer}: ${printable(answer.why)}`);
  }
}

/** By the names of RFC 6749 §5.1. The refresh token is left out: it would outlive this call in some log or history. */
function toJson({ issuer }: TokenPlace, tokens: Tokens): object {
  return {
    ok: true,
    issuer,
    access_token: tokens.accessToken,
    token_type: "Bearer",
    expires_in: tokens.expiresInSeconds,
    scope: tokens.scope,
    id_token: tokens.idToken,
    claims: tokens.claims,
  };
}

/** Anybody can put words into an answer: none of them may steer a terminal. */
const printable = (text: string): string => text.replace(/[^ -~]/g, "?").slice(0, 300);

/** A person finds the window, a password and a second factor. */
const WAIT_MS = 300_000;
