/** How somebody proved who they are, as the tokens say it. */
export interface Level {
  /** Authentication context class: what clients ask for and tokens carry. */
  readonly acr: string;
  /** RFC 8176 names of the methods used. */
  readonly amr: readonly string[];
  /**
   * After how long a session falls back to the weakest level, though the person stays signed in. Undefined: never.
   * A strong proof is for the moment it was asked for, not for the rest of the day.
   */
  readonly forgottenAfterSeconds: number | undefined;
}

/** A password, typed at the provider's own page. */
export const PASSWORD_LEVEL: Level = {
  acr: "urn:tidegate:acr:pwd",
  amr: ["pwd"],
  forgottenAfterSeconds: undefined,
};

/** What people can prove here, weakest first. A level that is not listed is neither advertised nor accepted. */
export const LEVELS: readonly Level[] = [PASSWORD_LEVEL];

/** The level that a session has now. */
export function currentLevel(
  session: { readonly acr: string | undefined; readonly authTimeSeconds: number },
  options: { readonly nowSeconds: number; readonly levels: readonly Level[] },
): Level | undefined {
  const { nowSeconds, levels } = options;
  const level = levels.find(({ acr }) => acr === session.acr);
  if (level?.forgottenAfterSeconds === undefined) return level;
  const ageSeconds = nowSeconds - session.authTimeSeconds;
  return ageSeconds > level.forgottenAfterSeconds ? levels[0] : level;
}
