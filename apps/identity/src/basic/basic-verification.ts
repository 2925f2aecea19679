import { hash, timingSafeEqual } from "node:crypto";
import { parseBasicCredentials } from "@tidegate/auth";
import { addressKey } from "@tidegate/limits";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { readField } from "../browser/form-fields.ts";
import type { IdentityEvents } from "../events.ts";
import type { People } from "../people/people.ts";
import type { ClientEntry } from "../provider/client-file.ts";
import { Refused } from "../web/refused.ts";

export interface BasicVerificationParts {
  readonly issuer: string;
  readonly clients: readonly ClientEntry[];
  readonly people: People;
  readonly events: IdentityEvents;
  readonly nowSeconds: () => number;
}

/** How somebody proved who they are who sends name and password with every call: weaker than a sign-in. */
export const BASIC_LEVEL = "urn:tidegate:acr:basic";
/** For how long the asker may remember a good answer. */
const REMEMBER_SECONDS = 60;

/**
 * POST /basic/verify: a gateway asks whether a name and a password belong together. Client-authenticated like the token
 * endpoint; the answer has the form of RFC 7662, with `iss` and `sub` as in this provider's tokens. There is no `auth_time`:
 * nobody signed in, so it satisfies no demand for freshness.
 *
 * Form fields: `username`, `password`, and `address`, the caller's, for the back-off per address and user. Answers: 200 with
 * `active`, 401 for the client, 429 while the pair must wait, 503 when every hash is taken.
 */
export function addBasicVerification(app: FastifyInstance, parts: BasicVerificationParts): void {
  const { people, events, issuer } = parts;
  app.post(
    "/basic/verify",
    { config: { takesForeignPosts: true } },
    async (request: FastifyRequest, reply: FastifyReply) => {
      const client = authenticate(request, parts.clients);
      if (client?.basicScopes === undefined) {
        events.clientRefused({ endpoint: "basic", clientId: client?.id, error: "invalid_client" });
        throw new Refused(401, "The client is not known or may not ask.", {
          fields: { "www-authenticate": `Basic realm="${issuer}", charset="UTF-8"` },
        });
      }
      const network = addressKey(readField(request, "address"));
      const username = readField(request, "username");
      const password = readField(request, "password");
      if (network === undefined || username === "" || password === "") {
        throw new Refused(400, "The form needs username, password and address.");
      }
      const answer = await people.signIn.attempt({
        login: username,
        password,
        network,
        deviceTokens: [],
      });
      reply.header("cache-control", "no-store");
      const facts = { clientId: client.id, network };
      switch (answer.outcome) {
        case "accepted": {
          const { person } = answer;
          events.basicVerified({ ...facts, personId: person.id });
          return {
            active: true,
            iss: issuer,
            sub: person.id,
            username: person.loginName,
            preferred_username: person.loginName,
            name: person.displayName,
            client_id: client.id,
            scope: client.basicScopes.join(" "),
            acr: BASIC_LEVEL,
            amr: ["pwd"],
            token_type: "Basic",
            exp: parts.nowSeconds() + REMEMBER_SECONDS,
          };
        }
        case "refused":
          events.basicRefused({ ...facts, why: "refused" });
          return { active: false };
        case "wait":
        case "busy": {
          events.basicRefused({ ...facts, why: answer.outcome });
          const retryAfter = String(Math.max(1, Math.ceil(answer.retryAfterMs / 1_000)));
          const status = answer.outcome === "wait" ? 429 : 503;
          throw new Refused(status, "Not now.", { fields: { "retry-after": retryAfter } });
        }
      }
    },
  );
}

/** RFC 6749 §2.3.1: id and secret are form-encoded within the Basic field; ours need no encoding. */
function authenticate(
  request: FastifyRequest,
  clients: readonly ClientEntry[],
): ClientEntry | undefined {
  const [scheme, text = ""] = (request.headers.authorization ?? "").split(" ");
  if (scheme?.toLowerCase() !== "basic") return undefined;
  const credentials = parseBasicCredentials(text);
  const client = clients.find(({ id }) => id === credentials?.user);
  if (client?.secret === undefined || credentials === undefined) return undefined;
  const digest = (secret: string): Buffer => hash("sha256", secret, "buffer");
  return timingSafeEqual(digest(client.secret), digest(credentials.password)) ? client : undefined;
}
