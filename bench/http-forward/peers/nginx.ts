import { writeFile } from "node:fs/promises";
import type { TempFolder } from "@tidegate/testkit";

/**
 * The peer `nginx-limit`: one process, connections to the upstream kept, a request rate per address. It writes no
 * access log, which is in its favour.
 * @returns program and arguments
 */
export async function nginxCommand(options: {
  readonly folder: TempFolder;
  readonly port: number;
  readonly upstreamPort: number;
}): Promise<readonly string[]> {
  const { folder, port, upstreamPort } = options;
  const file = folder.file("nginx.conf");
  const temp = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
    .map((name) => `  ${name}_temp_path ${folder.file(`nginx-${name}`)};`)
    .join("\n");
  const config = `daemon off;
master_process off;
pid ${folder.file("nginx.pid")};
error_log stderr error;
events { worker_connections 2048; }
http {
${temp}
  access_log off;
  limit_req_zone $binary_remote_addr zone=high:10m rate=1000000r/s;
  limit_req_zone $binary_remote_addr zone=low:10m rate=1r/m;
  limit_req_status 429;
  keepalive_requests 100000000;
  upstream one { server 127.0.0.1:${upstreamPort}; keepalive 256; keepalive_requests 100000000; }
  server {
    listen 127.0.0.1:${port};
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    location / { limit_req zone=high burst=1000000 nodelay; proxy_pass http://one; }
    location = /limited { limit_req zone=low; proxy_pass http://one; }
  }
}
`;
  await writeFile(file, config);
  return ["nginx", "-p", folder.path, "-c", file, "-e", "stderr"];
}
