import { readFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { Type, type Static } from "typebox";
import { createStrictAjv, toMistakes } from "@tidegate/service-kit";

const Identifier = Type.String({ pattern: "^[A-Za-z0-9._-]{1,64}$" });
const Scope = Type.String({ pattern: "^[\\x21\\x23-\\x5b\\x5d-\\x7e]{1,128}$" });
const Url = Type.String({ pattern: "^[a-z][a-z0-9+.-]*:[^\\s#]+$", maxLength: 2_048 });

const ResourceSchema = Type.Object(
  {
    identifier: Url,
    format: Type.Enum(["jwt", "opaque"]),
    scopes: Type.Array(Scope, { minItems: 1, maxItems: 200, uniqueItems: true }),
    introspectedBy: Type.Optional(Type.Array(Identifier, { uniqueItems: true })),
    permissions: Type.Optional(
      Type.Record(Scope, Type.String({ minLength: 1, maxLength: 200 }), { maxProperties: 200 }),
    ),
  },
  { additionalProperties: false },
);

const ClientSchema = Type.Object(
  {
    id: Identifier,
    name: Type.String({ minLength: 1, maxLength: 100 }),
    kind: Type.Enum(["web", "browser", "native", "service"]),
    secret: Type.Optional(Type.String({ minLength: 22, maxLength: 256 })),
    secretFile: Type.Optional(Type.String({ minLength: 1 })),
    redirectUris: Type.Optional(Type.Array(Url, { maxItems: 50, uniqueItems: true })),
    signOutUris: Type.Optional(Type.Array(Url, { maxItems: 50, uniqueItems: true })),
    backchannelLogoutUri: Type.Optional(Url),
    resources: Type.Optional(Type.Array(Url, { maxItems: 50, uniqueItems: true })),
    consent: Type.Optional(Type.Enum(["ask", "implied"])),
    serviceScopes: Type.Optional(Type.Array(Scope, { uniqueItems: true })),
    basicScopes: Type.Optional(Type.Array(Scope, { uniqueItems: true })),
  },
  { additionalProperties: false },
);

const ClientFileSchema = Type.Object(
  {
    resources: Type.Optional(Type.Array(ResourceSchema, { maxItems: 200 })),
    clients: Type.Array(ClientSchema, { maxItems: 1_000 }),
  },
  { additionalProperties: false },
);

/** An API for which tokens are issued. */
export interface Resource {
  /** The one `aud` of its tokens. */
  readonly identifier: string;
  /** `jwt`: RFC 9068, verified by keys. `opaque`: verified by introspection (RFC 7662), revoked by RFC 7009. */
  readonly format: "jwt" | "opaque";
  readonly scopes: readonly string[];
  /** Clients that may introspect its tokens, besides the client a token was issued to. */
  readonly introspectedBy: readonly string[];
  /** What each scope allows, in words that follow "it will be able to". */
  readonly permissions: Readonly<Record<string, string>>;
}

/**
 * Who may ask for tokens. `web`: a server with a secret. `browser` and `native`: no secret. `service`: a server that signs in
 * as itself, without a person (client credentials).
 */
export interface ClientEntry {
  readonly id: string;
  /** What people read on the consent page. */
  readonly name: string;
  readonly kind: "web" | "browser" | "native" | "service";
  readonly secret: string | undefined;
  /** Compared character by character; for `native`, any port of a loopback address (RFC 8252 §7.3). */
  readonly redirectUris: readonly string[];
  readonly signOutUris: readonly string[];
  readonly backchannelLogoutUri: string | undefined;
  /** What it may ask tokens for; the first is meant when it does not say. */
  readonly resources: readonly string[];
  /** `implied` only for what belongs to the operator: people are not asked. */
  readonly consent: "ask" | "implied";
  /** Scopes it may have without a person; empty: it has no client credentials grant. */
  readonly serviceScopes: readonly string[];
  /** Scopes of a person whom it had verified by name and password; undefined: it may not ask. */
  readonly basicScopes: readonly string[] | undefined;
}

export interface ClientFile {
  readonly resources: readonly Resource[];
  readonly clients: readonly ClientEntry[];
}

/**
 * Reads the file that lists clients and resources.
 * @throws {Error} one message with everything that is wrong; secrets are not repeated
 */
export function readClientFile(path: string): ClientFile {
  let value: unknown;
  try {
    value = JSON.parse(readFileSync(path, "utf8"));
  } catch (cause) {
    const reason =
      cause instanceof Error && "code" in cause ? String(cause.code) : "it is not JSON";
    throw new Error(`Cannot read ${path}: ${reason}`, { cause });
  }
  const validate = createStrictAjv().compile<Static<typeof ClientFileSchema>>(ClientFileSchema);
  if (!validate(value)) {
    const mistakes = toMistakes(validate.errors ?? [], "body");
    const lines = mistakes.map(({ pointer, detail }) => `${pointer} ${detail}`);
    throw new Error(`Cannot use ${path}:\n  ${lines.join("\n  ")}`);
  }
  const file = toClientFile(value, dirname(path));
  const problems = crossCheck(file);
  if (problems.length > 0) throw new Error(`Cannot use ${path}:\n  ${problems.join("\n  ")}`);
  return file;
}

function toClientFile(read: Static<typeof ClientFileSchema>, folder: string): ClientFile {
  return {
    resources: (read.resources ?? []).map((one) => ({
      ...one,
      introspectedBy: one.introspectedBy ?? [],
      permissions: one.permissions ?? {},
    })),
    clients: read.clients.map((one) => ({
      id: one.id,
      name: one.name,
      kind: one.kind,
      secret: one.secretFile === undefined ? one.secret : readSecret(one.secretFile, folder),
      redirectUris: one.redirectUris ?? [],
      signOutUris: one.signOutUris ?? [],
      backchannelLogoutUri: one.backchannelLogoutUri,
      resources: one.resources ?? [],
      consent: one.consent ?? "ask",
      serviceScopes: one.serviceScopes ?? [],
      basicScopes: one.basicScopes,
    })),
  };
}

function readSecret(path: string, folder: string): string {
  return readFileSync(resolve(folder, path), "utf8").trim();
}

/** What a schema cannot say. */
function crossCheck({ resources, clients }: ClientFile): string[] {
  const problems: string[] = [];
  const known = new Map(resources.map((one) => [one.identifier, one]));
  if (known.size < resources.length) problems.push("two resources have one identifier");
  if (new Set(clients.map(({ id }) => id)).size < clients.length) {
    problems.push("two clients have one id");
  }
  for (const client of clients) {
    const say = (what: string): void => void problems.push(`client ${client.id}: ${what}`);
    const isConfidential = client.kind === "web" || client.kind === "service";
    if (isConfidential && (client.secret?.length ?? 0) < 22) {
      say("needs a secret of at least 22 characters (128 bits)");
    }
    if (!isConfidential && client.secret !== undefined) {
      say(`is a ${client.kind} client: what everybody can read is no secret`);
    }
    if (client.kind === "service" && client.redirectUris.length > 0) {
      say("is a service: nobody signs in through it");
    }
    if (client.kind !== "service" && client.redirectUris.length === 0) say("needs a redirect URI");
    if (client.serviceScopes.length > 0 && !isConfidential) {
      say("cannot have service scopes without a secret");
    }
    if (client.basicScopes !== undefined && !isConfidential) {
      say("cannot verify names and passwords without a secret");
    }
    if (client.kind === "service" && client.serviceScopes.length === 0 && !client.basicScopes) {
      say("is a service without service scopes: it could do nothing");
    }
    for (const uri of [...client.redirectUris, ...client.signOutUris]) {
      if (!isSafeTarget(uri, client.kind)) {
        say(`${uri} must be https (or http on a loopback name; a private scheme for native)`);
      }
    }
    for (const resource of client.resources) {
      if (!known.has(resource)) say(`knows no resource ${resource}`);
    }
  }
  const ids = new Set(clients.map(({ id }) => id));
  for (const { identifier, introspectedBy } of resources) {
    for (const id of introspectedBy) {
      if (!ids.has(id)) problems.push(`resource ${identifier}: there is no client ${id}`);
    }
  }
  return problems;
}

/** RFC 9700 §2.6: no plain http beyond loopback. RFC 8252 §7.1: private schemes carry a dot. */
function isSafeTarget(uri: string, kind: ClientEntry["kind"]): boolean {
  const url = URL.parse(uri);
  if (url === null || url.username !== "" || url.password !== "") return false;
  if (url.protocol === "https:") return true;
  if (url.protocol === "http:") {
    return /^(localhost|.+\.localhost|127(\.\d+){3}|\[::1\])$/.test(url.hostname);
  }
  return kind === "native" && url.protocol.includes(".");
}
