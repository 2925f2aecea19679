import { isIP } from "node:net";
import { join, resolve } from "node:path";
import { environment, LOG_LEVELS, type LogLevel } from "@tidegate/service-kit";

export interface IdentityConfig {
  readonly listen: { readonly host: string; readonly port: number };
  /** The operators' listener, on loopback. */
  readonly admin: { readonly port: number };
  /**
   * The issuer: where people and clients reach the provider, without a slash at the end. Undefined when it follows from
   * the port, which is known only after listening when it is 0.
   */
  readonly publicUrl: string | undefined;
  /** Absolute path of the folder with database, keys, admin token and outbox; 0700. */
  readonly dataFolder: string;
  /** Absolute path; undefined: no clients but the provider's own account pages. */
  readonly clientsFile: string | undefined;
  /** Reverse proxies whose forwarding fields are believed: addresses or CIDR blocks. */
  readonly trustedProxies: readonly string[];
  readonly mail: { readonly smtpUrl: string | undefined; readonly from: string };
  readonly registration: "open" | "closed";
  readonly log: { readonly level: LogLevel };
  /** What an operator should know about this configuration. */
  readonly warnings: readonly string[];
}

const UNSET = "";
const optionalText = (describe: string): environment.Variable<string> => ({
  describe,
  default: UNSET,
  read: (value) => value,
});

const VARIABLES = {
  IDENTITY_HOST: environment.text("address to listen on", "127.0.0.1"),
  IDENTITY_PORT: environment.integer("port to listen on; 0 takes a free one", {
    min: 0,
    max: 65_535,
    default: 8081,
  }),
  IDENTITY_ADMIN_PORT: environment.integer(
    "port of the administrators' HTTP API, on loopback; 0 takes a free one",
    { min: 0, max: 65_535, default: 9091 },
  ),
  IDENTITY_URL: optionalText(
    "where people and clients reach the provider: its issuer; http://localhost and the port unless set",
  ),
  IDENTITY_DATA: environment.text("folder for database, keys and outbox; made if it is not there"),
  IDENTITY_CLIENTS_FILE: optionalText("path of the JSON file that lists clients and resources"),
  IDENTITY_TRUSTED_PROXIES: optionalText(
    "addresses or CIDR blocks, separated by commas, of reverse proxies whose X-Forwarded-For is believed",
  ),
  IDENTITY_SMTP_URL: optionalText(
    "mail server, such as smtps://user:password@mail.example:465; unset: mails are written to the folder outbox/ in IDENTITY_DATA",
  ),
  IDENTITY_MAIL_FROM: environment.text("sender of mails", "Tidegate <no-reply@localhost>"),
  IDENTITY_REGISTRATION: environment.choice(
    "whether people may register by themselves",
    ["open", "closed"],
    "open",
  ),
  IDENTITY_LOG_LEVEL: environment.choice("the least important lines to write", LOG_LEVELS, "info"),
  IDENTITY_DANGEROUSLY_LISTEN_BEYOND_LOOPBACK: environment.flag(
    "whether other machines may connect to this plain-HTTP port; put a TLS proxy in front instead",
  ),
};

/**
 * Reads the configuration of the process, once.
 * @throws {Error} one message with everything that is wrong
 */
export function readConfig(
  variables: Readonly<Record<string, string | undefined>>,
  options: { readonly workingFolder: string },
): IdentityConfig {
  const read = environment.readEnvironment(VARIABLES, variables, { prefix: "IDENTITY_" });
  const problems: string[] = [];
  const isBeyondLoopback = !isLoopback(read.IDENTITY_HOST);
  if (isBeyondLoopback && !read.IDENTITY_DANGEROUSLY_LISTEN_BEYOND_LOOPBACK) {
    problems.push(
      `IDENTITY_HOST=${read.IDENTITY_HOST} is not a loopback address; set IDENTITY_DANGEROUSLY_LISTEN_BEYOND_LOOPBACK=true to listen there`,
    );
  }
  const publicUrl =
    read.IDENTITY_URL === UNSET ? undefined : readPublicUrl(read.IDENTITY_URL, problems);
  const trustedProxies = read.IDENTITY_TRUSTED_PROXIES.split(",")
    .map((one) => one.trim())
    .filter((one) => one !== "");
  for (const proxy of trustedProxies) {
    if (isIP(proxy.split("/", 1)[0] ?? "") === 0) {
      problems.push(`IDENTITY_TRUSTED_PROXIES: ${proxy} is neither an address nor a CIDR block`);
    }
  }
  if (problems.length > 0) throw new Error(`Cannot start:\n  ${problems.join("\n  ")}`);
  const path = (text: string): string => resolve(options.workingFolder, text);
  return Object.freeze({
    listen: { host: read.IDENTITY_HOST, port: read.IDENTITY_PORT },
    admin: { port: read.IDENTITY_ADMIN_PORT },
    publicUrl,
    dataFolder: path(read.IDENTITY_DATA),
    clientsFile:
      read.IDENTITY_CLIENTS_FILE === UNSET ? undefined : path(read.IDENTITY_CLIENTS_FILE),
    trustedProxies,
    mail: {
      smtpUrl: read.IDENTITY_SMTP_URL === UNSET ? undefined : read.IDENTITY_SMTP_URL,
      from: read.IDENTITY_MAIL_FROM,
    },
    registration: read.IDENTITY_REGISTRATION,
    log: { level: read.IDENTITY_LOG_LEVEL },
    warnings: isBeyondLoopback ? [`listening beyond loopback, on ${read.IDENTITY_HOST}`] : [],
  });
}

/** Where the command line finds a running provider: its administrators' listener and the token for it. */
export function readAdminAccess(
  variables: Readonly<Record<string, string | undefined>>,
  options: { readonly workingFolder: string },
): { readonly url: string; readonly tokenFile: string } {
  const { IDENTITY_ADMIN_PORT, IDENTITY_DATA } = VARIABLES;
  const own = { IDENTITY_ADMIN_PORT, IDENTITY_DATA };
  const read = environment.readEnvironment(own, variables, { prefix: "IDENTITY_ADMIN_PORT" });
  return {
    url: `http://127.0.0.1:${read.IDENTITY_ADMIN_PORT}`,
    tokenFile: join(resolve(options.workingFolder, read.IDENTITY_DATA), "admin-token"),
  };
}

/** RFC 8414 §2 asks for https; loopback is the exception that a demo on one machine needs. */
function readPublicUrl(text: string, problems: string[]): string | undefined {
  const url = URL.parse(text);
  const isOrigin =
    url !== null &&
    (url.protocol === "https:" || url.protocol === "http:") &&
    url.origin === text.replace(/\/$/, "");
  if (!isOrigin) {
    problems.push(
      `IDENTITY_URL=${text} is not an origin such as https://id.example: no path, query or credential`,
    );
    return undefined;
  }
  if (url.protocol === "http:" && !isLoopback(url.hostname.replace(/^\[|\]$/g, ""))) {
    problems.push(`IDENTITY_URL=${text} must be https: only loopback names may do without`);
  }
  return url.origin;
}

function isLoopback(host: string): boolean {
  return isIP(host) === 0
    ? host === "localhost" || host.endsWith(".localhost")
    : host === "::1" || host.startsWith("127.");
}
