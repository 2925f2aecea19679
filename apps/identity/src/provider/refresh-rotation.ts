import { createHmac } from "node:crypto";
import { Provider } from "./library.ts";

/**
 * How long a used refresh token still gets its successor. Long enough for a client whose answer was lost or that refreshed
 * in two tabs at once; what a thief can do within it, the owner's next refresh reveals.
 */
export const GRACE_SECONDS = 10;

/**
 * Makes the successor of a refresh token follow from the token itself, keyed with a secret of the data folder: whoever
 * presents the same token within the grace, in parallel or again, gets the same successor, and nothing is kept for it.
 * Without the secret a token says nothing about its successor (HMAC-SHA-256 as a pseudorandom function, RFC 2104).
 */
export function deriveSuccessors(provider: Provider, secret: Buffer): void {
  const prototype = provider.RefreshToken.prototype as unknown as NamesItself;
  const atRandom = prototype.generateTokenId;
  prototype.generateTokenId = function successorOrRandom() {
    const rotated = Provider.ctx?.oidc.entities.RotatedRefreshToken;
    if (rotated === undefined) return atRandom.call(this);
    return createHmac("sha256", secret).update(`refresh ${rotated.jti}`).digest("base64url");
  };
}

/** What every artifact of the library has, though its types do not tell. */
interface NamesItself {
  generateTokenId: (this: NamesItself) => string;
}
