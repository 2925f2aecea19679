/** Names of fields that clients and services send every day, in the spelling they mostly use. */
export const EVERYDAY_FIELDS: readonly string[] = `
Accept Accept-Encoding Accept-Language Accept-Ranges Access-Control-Allow-Credentials Access-Control-Allow-Headers
Access-Control-Allow-Methods Access-Control-Allow-Origin Access-Control-Expose-Headers Access-Control-Max-Age Age
Allow Alt-Svc Authorization Cache-Control Connection Content-Disposition Content-Encoding Content-Language
Content-Length Content-Location Content-Range Content-Security-Policy Content-Type Cookie Date DNT ETag Expect Expires
Forwarded Host Idempotency-Key If-Match If-Modified-Since If-None-Match If-Range If-Unmodified-Since Keep-Alive
Last-Modified Link Location Origin Pragma Prefer Priority Range Referer Referrer-Policy Retry-After Sec-CH-UA
Sec-CH-UA-Mobile Sec-CH-UA-Platform Sec-Fetch-Dest Sec-Fetch-Mode Sec-Fetch-Site Sec-Fetch-User Sec-GPC Server
Server-Timing Set-Cookie Strict-Transport-Security TE Trailer Transfer-Encoding Upgrade Upgrade-Insecure-Requests
User-Agent Vary Via WWW-Authenticate X-API-Key X-Content-Type-Options X-Correlation-Id X-Forwarded-For
X-Forwarded-Host X-Forwarded-Port X-Forwarded-Proto X-Frame-Options X-Powered-By X-Real-IP X-Request-Id
X-Requested-With baggage traceparent tracestate
`
  .trim()
  .split(/\s+/);
