import type { FastifyInstance } from "fastify";
import type Provider from "oidc-provider";
import type { Browser } from "../browser/browser.ts";
import { readField } from "../browser/form-fields.ts";
import type { IdentityEvents } from "../events.ts";
import { consentPage } from "../pages/consent-page.ts";
import type { People } from "../people/people.ts";
import { CLAIMS } from "../provider/accounts.ts";
import type { Resource } from "../provider/client-file.ts";
import { allow, type ConsentStore } from "../provider/consents.ts";
import { seeOther, sendPage } from "../web/identity-app.ts";
import { Refused } from "../web/refused.ts";
import type { Interaction, InteractionFlow } from "./interaction-flow.ts";

export interface ConsentParts {
  readonly provider: () => Provider;
  readonly people: People;
  readonly browser: Browser;
  readonly flow: InteractionFlow;
  readonly consents: ConsentStore;
  readonly resources: readonly Resource[];
  readonly events: IdentityEvents;
}

/** /consent/:uid: may this client act for you? */
export function addConsent(app: FastifyInstance, parts: ConsentParts): void {
  const { browser, flow, events, consents } = parts;

  app.get<{ Params: { uid: string } }>("/consent/:uid", async (request, reply) => {
    const interaction = asConsent(await flow.find(request, request.params.uid));
    const client = await flow.clientOf(interaction);
    const person = await parts.people.store.find(interaction.session?.accountId ?? "");
    if (person === undefined) throw new Refused(400, "Nobody is signed in any more. Start again.");
    const page = consentPage({
      action: `/consent/${interaction.uid}`,
      formToken: browser.forms.issue({ request, reply }),
      clientName: client.name,
      clientHost: client.host,
      loginName: person.loginName,
      permissions: describe(
        [...new Set([...wantedOf(interaction, parts.resources), ...scopesOfClaims(interaction)])],
        parts.resources,
      ),
    });
    return sendPage(reply, page, { formTargets: [client.formTarget] });
  });

  app.post<{ Params: { uid: string } }>("/consent/:uid", async (request, reply) => {
    browser.checkForm(request);
    const interaction = asConsent(await flow.find(request, request.params.uid));
    const clientId = String(interaction.params["client_id"]);
    const personId = interaction.session?.accountId ?? "";
    if (readField(request, "decision") !== "allow") {
      events.interactionCancelled({ clientId });
      const result = { error: "access_denied", error_description: "the person did not allow it" };
      return seeOther(reply, await flow.finish(request, interaction, result));
    }
    const scopes = wantedOf(interaction, parts.resources);
    const provider = parts.provider();
    const known =
      interaction.grantId === undefined
        ? undefined
        : await provider.Grant.find(interaction.grantId);
    const isTheirs = known?.accountId === personId && known.clientId === clientId;
    const grant = isTheirs ? known : new provider.Grant({ accountId: personId, clientId });
    allow(grant, scopes);
    grant.addOIDCClaims(claimsOf(interaction));
    const grantId = await grant.save();
    await consents.add(personId, { clientId, scopes });
    events.consentGiven({ personId, clientId, scopes });
    return seeOther(reply, await flow.finish(request, interaction, { consent: { grantId } }));
  });
}

function asConsent(interaction: Interaction): Interaction {
  if (interaction.prompt.name !== "consent" || interaction.session === undefined) {
    throw new Refused(400, "There is nothing to allow here. Go back to the application.");
  }
  return interaction;
}

/** All that was asked for, in the form of `requestedScopes`: the page shows the whole, not only what is new. */
function wantedOf(interaction: Interaction, resources: readonly Resource[]): string[] {
  const { scope, resource } = interaction.params as {
    readonly scope?: string;
    readonly resource?: string | readonly string[];
  };
  const asked = new Set((scope ?? "").split(" "));
  const wanted = OPENID_SCOPES.filter((one) => asked.has(one));
  for (const identifier of [resource ?? []].flat()) {
    const known = resources.find((one) => one.identifier === identifier);
    for (const one of known?.scopes ?? []) if (asked.has(one)) wanted.push(`${identifier} ${one}`);
  }
  return wanted;
}

/** Claims that were asked for one by one (OpenID Connect Core §5.5) and still have to be allowed. */
function claimsOf(interaction: Interaction): string[] {
  const { missingOIDCClaims } = interaction.prompt.details as {
    readonly missingOIDCClaims?: readonly string[];
  };
  return [...(missingOIDCClaims ?? [])];
}

/** The scopes that would have brought these claims: the page speaks of them alike. */
function scopesOfClaims(interaction: Interaction): string[] {
  return claimsOf(interaction).map((claim) =>
    (CLAIMS.email as readonly string[]).includes(claim) ? "email" : "profile",
  );
}

const OPENID_SCOPES = ["openid", "profile", "email", "offline_access"];

const IN_WORDS: Readonly<Record<string, string>> = {
  openid: "know that it is you",
  profile: "see your name",
  email: "see your e-mail address",
  offline_access: "go on acting for you while you are away",
};

function describe(wanted: readonly string[], resources: readonly Resource[]): string[] {
  return wanted.map((entry) => {
    const [resource = "", scope] = entry.split(" ");
    if (scope === undefined) return IN_WORDS[resource] ?? resource;
    const known = resources.find(({ identifier }) => identifier === resource);
    return known?.permissions[scope] ?? `use ${scope} at ${resource}`;
  });
}
