import type { Adapter, AdapterPayload } from "oidc-provider";
import { errors } from "./library.ts";
import type { ArtifactStore } from "./artifact-store.ts";
import { GRACE_SECONDS } from "./refresh-rotation.ts";

/** Kinds of which a second one under the same id must not replace the first. */
const FINAL_KINDS = new Set(["RefreshToken", "AuthorizationCode", "ReplayDetection"]);

const REDEEMED_KINDS = new Set(["RefreshToken", "AuthorizationCode"]);

/** Fits the store to the library, one adapter per kind of artifact. */
export function createArtifactAdapter(
  store: ArtifactStore,
  kind: string,
  hooks: {
    readonly sessionSaved: (session: {
      readonly uid: string;
      readonly personId: string;
    }) => Promise<void>;
    /** A code or refresh token is about to be looked at. May throw what the client is answered. */
    readonly redeeming: () => void;
  },
): Adapter {
  return {
    async upsert(id, payload, expiresIn) {
      const { jti: _id, ...rest } = withoutCookie(payload);
      const sessionUid = payload.sessionUid ?? (kind === "Session" ? payload.uid : undefined);
      const isStored = await store.put({
        kind,
        id,
        payload: rest,
        expiresAtSeconds: payload.exp ?? store.nowSeconds() + (expiresIn ?? 0),
        isFinal: FINAL_KINDS.has(kind),
        grantId: kind === "Grant" ? id : payload.grantId,
        sessionUid,
        personId: payload.accountId,
      });
      // The library looks whether an assertion was used before it stores that it is; two at once would both pass.
      if (!isStored && kind === "ReplayDetection") throw new errors.InvalidClientAuth("replayed");
      if (isStored && kind === "Session" && payload.uid && payload.accountId) {
        await hooks.sessionSaved({ uid: payload.uid, personId: payload.accountId });
      }
    },
    async find(id) {
      if (REDEEMED_KINDS.has(kind)) hooks.redeeming();
      const found = await store.find(kind, id);
      if (found === undefined) return undefined;
      const { consumedAtSeconds } = found;
      // A used refresh token counts as unused for a moment: its successor may have been lost on the way.
      const inGrace =
        kind === "RefreshToken" &&
        consumedAtSeconds !== undefined &&
        store.nowSeconds() - consumedAtSeconds < GRACE_SECONDS;
      return {
        ...(found.payload as AdapterPayload),
        jti: id,
        ...(consumedAtSeconds !== undefined && !inGrace && { consumed: consumedAtSeconds }),
      };
    },
    async findByUid(uid) {
      const payload = await store.findSessionByUid(uid);
      // Its id is the cookie, which is not known here; what is found this way is looked at and never saved.
      return payload && { ...(payload as AdapterPayload), jti: `unknown id of session ${uid}` };
    },
    async findByUserCode() {
      return undefined;
    },
    async consume(id) {
      const { isFirst } = await store.consume(kind, id);
      // RFC 6749 §4.1.2: a code is good once, also for two requests that arrive together.
      if (!isFirst && kind !== "RefreshToken") {
        throw new errors.InvalidGrant(`${kind} was used by another request at the same time`);
      }
    },
    destroy: (id) => store.remove(kind, id),
    revokeByGrantId: (grantId) => store.removeByGrant(kind, grantId),
  };
}

/** An interaction carries the session's cookie, which nothing reads: it would lie in the file in clear. */
function withoutCookie(payload: AdapterPayload): AdapterPayload {
  if (payload.session?.cookie === undefined) return payload;
  const { cookie: _cookie, ...session } = payload.session;
  return { ...payload, session };
}
