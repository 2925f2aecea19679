import { ServerResponse } from "node:http";
import type { FastifyRequest } from "fastify";
import type Provider from "oidc-provider";
import type { InteractionResults } from "oidc-provider";
import { Refused } from "../web/refused.ts";
import type { BrowserSessions } from "../provider/browser-sessions.ts";
import { COOKIE_NAMES } from "../provider/create-provider.ts";

export type Interaction = InstanceType<Provider["Interaction"]>;

export interface InteractionFlowOptions {
  readonly provider: () => Provider;
  readonly browserSessions: BrowserSessions;
  readonly nowSeconds: () => number;
}

/** An authorization request that waits for a person: found by its page, answered by its result. */
export interface InteractionFlow {
  /**
   * The request that this page is about.
   * @throws {Refused} 400 when it is over, or was begun in another browser
   */
  find(request: FastifyRequest, uid: string): Promise<Interaction>;
  /** Answers it. @returns where the browser goes next: back into the library, which goes on to the client */
  finish(
    request: FastifyRequest,
    interaction: Interaction,
    result: InteractionResults,
  ): Promise<string>;
  /** The client that asked, as people know it, and where it will take them. */
  clientOf(interaction: Interaction): Promise<{
    readonly id: string;
    readonly name: string;
    readonly host: string;
    /** For the page's `form-action`: the redirects after its form end there. */
    readonly formTarget: string;
  }>;
}

export function createInteractionFlow(options: InteractionFlowOptions): InteractionFlow {
  const { browserSessions, nowSeconds } = options;
  return {
    async find(request, uid) {
      const provider = options.provider();
      const { cookies } = provider.createContext(request.raw, new ServerResponse(request.raw));
      // The cookie, not the address, is what shows that this browser began it: an address can be sent to somebody, who
      // would then sign in for the sender (login CSRF).
      const mine = cookies.get(COOKIE_NAMES.interaction, { signed: true });
      const interaction = mine === uid ? await provider.Interaction.find(uid) : undefined;
      if (interaction === undefined) throw expired();
      return interaction;
    },
    async finish(request, interaction, result) {
      const session = await browserSessions.current(request);
      if (result.login !== undefined) {
        // Another person's session at this browser would make the library ask, with a page of its own, what to do with it.
        await browserSessions.makeWayFor(request, result.login.accountId);
        delete interaction.session;
      } else if (result.consent !== undefined && interaction.session?.uid !== session?.uid) {
        throw expired();
      }
      interaction.result =
        "error" in result ? result : { ...interaction.lastSubmission, ...result };
      await interaction.save(Math.max(1, interaction.exp - nowSeconds()));
      return interaction.returnTo;
    },
    async clientOf(interaction) {
      const id = String(interaction.params["client_id"]);
      const client = await options.provider().Client.find(id);
      const target = URL.parse(String(interaction.params["redirect_uri"]));
      return {
        id,
        name: client?.clientName ?? id,
        host: target?.host === "" ? (target?.protocol ?? "") : (target?.host ?? ""),
        formTarget: target?.origin === "null" ? target.protocol : (target?.origin ?? "'self'"),
      };
    },
  };
}

function expired(): Refused {
  return new Refused(
    400,
    "This sign-in took too long, was finished already, or was begun in another browser. Go back to the application and start again.",
  );
}
