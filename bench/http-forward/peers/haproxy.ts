import { writeFile } from "node:fs/promises";
import type { TempFolder } from "@tidegate/testkit";

/**
 * The peers `haproxy-limit` and `haproxy-limit-rs256`: one thread, connections to the upstream kept and shared, a
 * stick table that counts requests per address. It writes no access log, which is in its favour.
 * @param options.publicKeyFile where the RS256 key is (PEM); without it nobody is identified
 * @returns program and arguments
 */
export async function haproxyCommand(options: {
  readonly folder: TempFolder;
  readonly name: string;
  readonly port: number;
  readonly upstreamPort: number;
  readonly publicKeyFile?: string;
}): Promise<readonly string[]> {
  const { folder, name, port, upstreamPort, publicKeyFile } = options;
  const file = folder.file(`${name}.cfg`);
  // `alg` is compared first: the key must not be usable for another algorithm.
  const identify =
    publicKeyFile === undefined
      ? ["http-request track-sc0 src"]
      : [
          "http-request set-var(txn.token) http_auth_bearer",
          "http-request set-var(txn.alg) var(txn.token),jwt_header_query('$.alg')",
          "http-request deny deny_status 401 unless { var(txn.alg) -m str RS256 }",
          `http-request deny deny_status 401 unless { var(txn.token),jwt_verify(txn.alg,"${publicKeyFile}") -m int 1 }`,
          "http-request set-var(txn.exp) var(txn.token),jwt_payload_query('$.exp','int')",
          "http-request set-var(txn.now) date()",
          "http-request deny deny_status 401 if { var(txn.exp),sub(txn.now) -m int lt 0 }",
          "http-request track-sc0 var(txn.token),jwt_payload_query('$.sub')",
        ];
  const config = `global
  nbthread 1
  maxconn 2000
defaults
  mode http
  timeout connect 3s
  timeout client 60s
  timeout server 60s
  http-reuse always
frontend in
  bind 127.0.0.1:${port}
  stick-table type string len 64 size 100k expire 60s store http_req_rate(10s)
  ${identify.join("\n  ")}
  http-request deny deny_status 429 if { path /limited } { sc_http_req_rate(0) gt 1 }
  http-request deny deny_status 429 if { sc_http_req_rate(0) gt 100000000 }
  default_backend upstream
backend upstream
  server one 127.0.0.1:${upstreamPort} maxconn 256
`;
  await writeFile(file, config);
  return ["haproxy", "-db", "-f", file];
}
