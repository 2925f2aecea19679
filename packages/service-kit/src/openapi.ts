import type { FaultTable } from "./fault.ts";
import { PROBLEM_MEDIA_TYPE, ProblemSchema, toSlug } from "./problem.ts";
import type { ServiceRoute } from "./route-list.ts";

/** JSON as it is served. */
export type Json = Record<string, unknown>;

export interface ApiDescription {
  readonly title: string;
  readonly version: string;
  readonly description: string;
  /** Where clients reach the service: the gateway. */
  readonly serverUrl: string;
  /** Schemas that get a name; wherever the same object occurs in a route, a reference is written. */
  readonly schemas: Readonly<Record<string, object>>;
}

// What every call can meet, whatever it asks for.
const EVERYWHERE = [
  "assertion_missing",
  "assertion_refused",
  "person_required",
  "identity_unavailable",
  "stopping",
  "store_unavailable",
  "internal_error",
];
const WITH_BODY = [
  "malformed_request",
  "invalid_request",
  "body_too_large",
  "media_type_unsupported",
];

/**
 * The OpenAPI 3.1 document of what an app serves, made from the very schemas it judges by:
 * the routes, and for each the answers and problems it names.
 */
export function openApiDocument(
  routes: readonly ServiceRoute[],
  api: ApiDescription,
  faults: FaultTable,
): Json {
  const schemas = { ...api.schemas, Problem: ProblemSchema };
  const names = new Map(Object.entries(schemas).map(([name, schema]) => [schema as object, name]));
  const paths: Record<string, Json> = {};
  for (const route of routes) {
    const path = route.url.replace(/:(\w+)/g, "{$1}");
    paths[path] = { ...paths[path], [route.method.toLowerCase()]: operation(route, names, faults) };
  }
  return {
    openapi: "3.1.0",
    info: { title: api.title, version: api.version, description: api.description },
    servers: [{ url: api.serverUrl }],
    security: [{ basic: [] }, { bearer: [] }],
    paths,
    components: {
      securitySchemes: {
        basic: { type: "http", scheme: "basic", description: "Checked by the gateway." },
        bearer: { type: "http", scheme: "bearer", description: "Checked by the gateway." },
      },
      schemas: Object.fromEntries(
        Object.entries(schemas).map(([name, schema]) => [name, named(schema, names, true)]),
      ),
    },
  };
}

/** The codes of the fault table that a route may answer. */
export function faultsOfRoute(route: ServiceRoute): string[] {
  if (route.config.isPublic === true) return [...(route.config.faults ?? [])];
  return [
    ...new Set([
      ...EVERYWHERE,
      ...(route.schema.body === undefined ? [] : WITH_BODY),
      ...(route.schema.querystring === undefined ? [] : ["invalid_request"]),
      ...(route.config.faults ?? []),
    ]),
  ];
}

type Names = ReadonlyMap<object, string>;

function operation(route: ServiceRoute, names: Names, faults: FaultTable): Json {
  const { schema, config } = route;
  const isHead = route.method === "HEAD";
  return {
    ...(schema.operationId !== undefined && {
      operationId: isHead ? `${schema.operationId}Head` : schema.operationId,
    }),
    ...(schema.summary !== undefined && {
      summary: isHead ? `${schema.summary} (header fields only)` : schema.summary,
    }),
    ...(schema.description !== undefined && { description: schema.description }),
    ...(config.isPublic === true && { security: [] }),
    parameters: [
      ...parameters(schema.params, "path", names),
      ...parameters(schema.querystring, "query", names),
      ...parameters(schema.headers, "header", names),
    ],
    ...(schema.body !== undefined && {
      requestBody: {
        required: true,
        content: {
          [config.takes ?? "application/json"]: { schema: named(schema.body, names) },
        },
      },
    }),
    responses: {
      ...responses(schema.response, names, isHead),
      ...problems(faultsOfRoute(route), faults, isHead),
    },
  };
}

interface ObjectSchema {
  readonly properties?: Readonly<Record<string, { readonly description?: string }>>;
  readonly required?: readonly string[];
}

function parameters(schema: unknown, place: "path" | "query" | "header", names: Names): Json[] {
  const { properties = {}, required = [] } = (schema ?? {}) as ObjectSchema;
  return Object.entries(properties).map(([name, property]) => ({
    name: place === "header" ? name.replace(/(^|-)[a-z]/g, (start) => start.toUpperCase()) : name,
    in: place,
    required: place === "path" || required.includes(name),
    ...(property.description !== undefined && { description: property.description }),
    schema: named(property, names),
  }));
}

function responses(declared: unknown, names: Names, isHead: boolean): Json {
  const answers: Json = {};
  const byStatus: Record<string, Json> = Object.assign({}, declared);
  for (const [status, answer] of Object.entries(byStatus)) {
    const { content, ...rest } = answer;
    answers[status] = {
      ...rest,
      ...(content !== undefined && !isHead && { content: named(content, names) }),
    };
  }
  return answers;
}

function problems(codes: readonly string[], faults: FaultTable, isHead: boolean): Json {
  const byStatus = new Map<number, string[]>();
  for (const code of codes) {
    const kind = faults[code];
    if (kind === undefined)
      throw new Error(`A route names ${code}, which is not in the fault table`);
    byStatus.set(kind.status, [...(byStatus.get(kind.status) ?? []), code]);
  }
  const answers: Json = {};
  for (const [status, group] of byStatus) {
    answers[status] = {
      description: group.map((code) => `${faults[code]?.title} (\`${toSlug(code)}\`)`).join("; "),
      ...(!isHead && {
        content: { [PROBLEM_MEDIA_TYPE]: { schema: { $ref: "#/components/schemas/Problem" } } },
      }),
      "x-problems": group.map(toSlug),
    };
  }
  return answers;
}

/** The schema with each named part replaced by a reference. `isDefinition` keeps the outermost one as it is. */
function named(schema: unknown, names: Names, isDefinition = false): unknown {
  if (typeof schema !== "object" || schema === null) return schema;
  if (Array.isArray(schema)) return schema.map((part) => named(part, names));
  const name = names.get(schema);
  if (name !== undefined && !isDefinition) return { $ref: `#/components/schemas/${name}` };
  return Object.fromEntries(Object.entries(schema).map(([key, part]) => [key, named(part, names)]));
}
