import type { Random } from "@tidegate/clock";
import { randomUuid, type Logger } from "@tidegate/service-kit";
import type { KoaContextWithOIDC } from "oidc-provider";
import { pageHeaders } from "../web/page-headers.ts";

/** What the library shows to people, in our form. Everything else it would show is refused (`provider-mount.ts`). */
export interface ProviderPages {
  error(
    ctx: KoaContextWithOIDC,
    out: { readonly error: string; readonly error_description?: string | undefined },
    error: Error,
  ): void;
  /** Asks whether to sign out. */
  signOut(ctx: KoaContextWithOIDC): void;
  signedOut(ctx: KoaContextWithOIDC): void;
}

/** Draws the pages; `pages/` has the real ones. */
export interface PageTexts {
  errorPage(page: {
    readonly title: string;
    readonly message: string;
    readonly errorId: string;
  }): string;
  signOutPage(page: {
    readonly action: string;
    readonly fields: Readonly<Record<string, string>>;
    readonly clientName: string | undefined;
    readonly confirm: { readonly name: string; readonly value: string };
  }): string;
  signedOutPage(page: { readonly signInUrl: string }): string;
}

export function createProviderPages(options: {
  readonly texts: PageTexts;
  readonly random: Random;
  readonly logger: Logger;
}): ProviderPages {
  const { texts, random, logger } = options;
  return {
    error(ctx, out, error) {
      const errorId = randomUuid(random);
      const line = { errorId, error: out.error, reason: out.error_description ?? error.message };
      if (ctx.status < 500) logger.info({ event: "authorization.refused", ...line });
      else logger.error({ event: "request.failed", ...line, err: error });
      show(ctx, texts.errorPage({ ...explain(out.error), errorId }));
    },
    signOut(ctx) {
      const state = signOutStateOf(ctx);
      show(
        ctx,
        texts.signOutPage({
          action: "/sign-out/confirm",
          fields: { xsrf: state.secret ?? "" },
          clientName: ctx.oidc.client?.clientName,
          confirm: { name: "logout", value: "yes" },
        }),
        state.postLogoutRedirectUri === undefined
          ? []
          : [new URL(state.postLogoutRedirectUri).origin],
      );
    },
    signedOut: (ctx) => show(ctx, texts.signedOutPage({ signInUrl: "/account" })),
  };
}

/** What the library keeps in the session while it asks whether to sign out. */
export interface SignOutState {
  readonly secret?: string;
  readonly clientId?: string;
  readonly state?: string;
  readonly postLogoutRedirectUri?: string;
}

export function signOutStateOf(ctx: KoaContextWithOIDC): SignOutState {
  return ctx.oidc.session?.state ?? {};
}

const OUR_PAGES = new WeakSet<object>();

/** Whether the answer under way was drawn by us. */
export const isOurPage = (ctx: object): boolean => OUR_PAGES.has(ctx);

function show(ctx: KoaContextWithOIDC, html: string, formTargets: readonly string[] = []): void {
  OUR_PAGES.add(ctx);
  ctx.type = "html";
  ctx.set(pageHeaders(formTargets));
  ctx.body = html;
}

/** The protocol's errors in words. What exactly was wrong is for the client's developer, in the log. */
function explain(error: string): { readonly title: string; readonly message: string } {
  switch (error) {
    case "server_error":
      return { title: "Something broke on our side", message: "Please try again in a moment." };
    case "temporarily_unavailable":
      return { title: "We are busy", message: "Please try again in a moment." };
    case "invalid_redirect_uri":
    case "invalid_client":
      return {
        title: "This application is not set up correctly",
        message:
          "It is not known here, or asked to send you to an address that it has not registered.",
      };
    default:
      return {
        title: "This request cannot be answered",
        message:
          "The sign-in may have taken too long, or was already finished. Go back to the application and start again.",
      };
  }
}
