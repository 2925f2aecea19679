import type { GatewayDatabase } from "../store/gateway-database.ts";
import type { SealingKeys } from "./sealing-keys.ts";
import type { SessionRecord, SessionSecrets } from "./session-record.ts";

/**
 * Browser sessions on disk; what is written survives the loss of power. Its size is bounded by people ×
 * `maxPerPerson`, and by the absolute timeout. Main thread only.
 */
export class SessionStore {
  readonly #database: GatewayDatabase;
  readonly #keys: SealingKeys;
  readonly #statements;

  constructor(database: GatewayDatabase, keys: SealingKeys) {
    database.prepareTables("browser sessions", [CREATE]);
    this.#database = database;
    this.#keys = keys;
    this.#statements = {
      get: database.prepare("select * from browser_session where id = ?"),
      put: database.prepare(
        `insert or replace into browser_session values (${Array.from({ length: 18 }, () => "?").join(", ")})`,
      ),
      delete: database.prepare("delete from browser_session where id = ?"),
      touch: database.prepare("update browser_session set used_ms = max(used_ms, ?) where id = ?"),
      ofPerson: database.prepare("select * from browser_session where issuer = ? and subject = ?"),
      ofProviderSession: database.prepare(
        "select * from browser_session where issuer = ? and provider_session = ?",
      ),
      over: database.prepare(
        "select * from browser_session where ends_ms <= ? or used_ms <= ? limit 1000",
      ),
    };
  }

  /** @returns undefined when there is none, or its secrets cannot be opened any more */
  get(id: string): SessionRecord | undefined {
    return this.#toRecord(this.#statements.get.get(id));
  }

  put(record: SessionRecord): void {
    const { secrets, ...open } = record;
    this.#statements.put.run(
      open.id,
      open.provider,
      open.issuer,
      open.subject,
      open.client,
      open.scopes.join(" "),
      open.acr,
      open.authTimeSeconds,
      open.issuedAtSeconds,
      open.providerSession,
      open.tokenId,
      open.generation,
      open.beganMs,
      open.usedMs,
      open.endsMs,
      open.renewMs,
      open.grantedUntilMs,
      this.#keys.seal(JSON.stringify(secrets), contextOf(open.id)),
    );
  }

  /** One takes the other's place, or neither changes. */
  replace(old: string, record: SessionRecord): void {
    this.#database.transaction(() => {
      this.#statements.delete.run(old);
      this.put(record);
    });
  }

  /** @returns whether there was one */
  delete(id: string): boolean {
    return this.#statements.delete.run(id).changes === 1;
  }

  /** Writes when sessions were last used. @param uses wall milliseconds by id */
  touch(uses: ReadonlyMap<string, number>): void {
    if (uses.size === 0) return;
    this.#database.transaction(() => {
      for (const [id, usedMs] of uses) this.#statements.touch.run(usedMs, id);
    });
  }

  ofPerson(issuer: string, subject: string): SessionRecord[] {
    return this.#toRecords(this.#statements.ofPerson.all(issuer, subject));
  }

  /** @param sid the provider's; not empty */
  ofProviderSession(issuer: string, sid: string): SessionRecord[] {
    return this.#toRecords(this.#statements.ofProviderSession.all(issuer, sid));
  }

  /** Those that are over, at most 1000 of them. */
  over(nowMs: number, idleTimeoutMs: number): SessionRecord[] {
    return this.#toRecords(this.#statements.over.all(nowMs, nowMs - idleTimeoutMs));
  }

  #toRecords(rows: readonly Row[]): SessionRecord[] {
    return rows.flatMap((row) => this.#toRecord(row) ?? []);
  }

  #toRecord(row: Row | undefined): SessionRecord | undefined {
    if (row === undefined) return undefined;
    const id = String(row["id"]);
    const secrets = this.#keys.open(row["sealed"] as Uint8Array, contextOf(id));
    // Its key is gone: without its tokens the session is worth nothing.
    if (secrets === undefined) {
      this.delete(id);
      return undefined;
    }
    const scope = String(row["scope"]);
    return {
      id,
      provider: String(row["provider"]),
      issuer: String(row["issuer"]),
      subject: String(row["subject"]),
      client: String(row["client"]),
      scopes: scope === "" ? [] : scope.split(" "),
      acr: String(row["acr"]),
      authTimeSeconds: Number(row["auth_time_seconds"]),
      issuedAtSeconds: Number(row["issued_at_seconds"]),
      providerSession: String(row["provider_session"]),
      tokenId: String(row["token_id"]),
      generation: Number(row["generation"]),
      beganMs: Number(row["began_ms"]),
      usedMs: Number(row["used_ms"]),
      endsMs: Number(row["ends_ms"]),
      renewMs: Number(row["renew_ms"]),
      grantedUntilMs: Number(row["granted_until_ms"]),
      secrets: JSON.parse(secrets) as SessionSecrets,
    };
  }
}

type Row = Readonly<Record<string, unknown>>;

/** The sealed text opens in its own row alone: rows cannot be mixed by whoever can write the file. */
const contextOf = (id: string): string => `browser session ${id}`;

const CREATE = `create table browser_session (
  id text primary key, provider text not null, issuer text not null, subject text not null, client text not null,
  scope text not null, acr text not null, auth_time_seconds integer not null, issued_at_seconds integer not null, provider_session text not null,
  token_id text not null, generation integer not null, began_ms integer not null, used_ms integer not null,
  ends_ms integer not null, renew_ms integer not null, granted_until_ms integer not null, sealed blob not null
) strict, without rowid;
create index browser_session_person on browser_session (issuer, subject);
create index browser_session_provider_session on browser_session (issuer, provider_session);
create index browser_session_ends on browser_session (ends_ms);
create index browser_session_used on browser_session (used_ms);`;
