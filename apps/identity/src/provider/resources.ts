import type { Configuration, KoaContextWithOIDC } from "oidc-provider";
import { errors } from "./library.ts";
import type { ClientEntry, Resource } from "./client-file.ts";
import { LIFETIMES } from "./lifetimes.ts";

type ResourceIndicators = NonNullable<Configuration["features"]>["resourceIndicators"];

/** Which APIs tokens are for (RFC 8707): those of the client's entry, one audience to a token. */
export function createResourceIndicators(options: {
  readonly resources: ReadonlyMap<string, Resource>;
  readonly clients: ReadonlyMap<string, ClientEntry>;
}): ResourceIndicators {
  const { resources, clients } = options;
  const entryOf = (clientId: string): ClientEntry | undefined => clients.get(clientId);
  return {
    enabled: true,
    defaultResource(_ctx, client, oneOf) {
      const own = entryOf(client.clientId)?.resources ?? [];
      if (oneOf === undefined) return own[0] ?? [];
      return own.find((resource) => oneOf.includes(resource)) ?? oneOf[0] ?? [];
    },
    useGrantedResource: () => true,
    getResourceServerInfo(ctx, identifier, client) {
      const entry = entryOf(client.clientId);
      const resource = resources.get(identifier);
      if (resource === undefined || entry?.resources.includes(identifier) !== true) {
        throw new errors.InvalidTarget();
      }
      const scopes = isWithoutPerson(ctx)
        ? resource.scopes.filter((scope) => entry.serviceScopes.includes(scope))
        : resource.scopes;
      return {
        scope: scopes.join(" "),
        audience: identifier,
        accessTokenFormat: resource.format,
        accessTokenTTL: LIFETIMES.accessToken,
        ...(resource.format === "jwt" && { jwt: { sign: { alg: "ES256" } } }),
      };
    },
  };
}

function isWithoutPerson(ctx: KoaContextWithOIDC): boolean {
  return ctx.oidc.route === "token" && ctx.oidc.params?.["grant_type"] === "client_credentials";
}
