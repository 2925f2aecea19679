import { openApiDocument, problemPage, type Json, type Service } from "@tidegate/service-kit";
import { Type } from "typebox";
import { asyncApiDocument } from "./asyncapi.ts";
import { TASK_FAULTS } from "./fault.ts";
import { TASK_SCHEMAS } from "./task-routes.ts";

export const API_VERSION = "1.0.0";

/** Adds what the service says about itself: both contracts, and the page that problems point at. Added last, so that it lists all routes. */
export function addDocumentRoutes(service: Service, options: { readonly publicUrl: string }): void {
  const json = (description: string): Json => ({
    200: {
      description,
      content: { "application/json": { schema: Type.Object({}, { additionalProperties: true }) } },
    },
  });
  // Made at the first question, when all routes are there, and then kept: it never changes while the process lives.
  let openApi: Json | undefined;
  service.app.get(
    "/tasks/openapi.json",
    {
      schema: {
        operationId: "openApi",
        summary: "This document",
        response: json("OpenAPI 3.1."),
      },
    },
    async () => (openApi ??= describe(service, options.publicUrl)),
  );
  const asyncApi = asyncApiDocument({ publicUrl: options.publicUrl, version: API_VERSION });
  service.app.get(
    "/tasks/asyncapi.json",
    {
      schema: {
        operationId: "asyncApi",
        summary: "The live feed's document",
        response: json("AsyncAPI 3.0."),
      },
    },
    async () => asyncApi,
  );
  const page = problemPage("tasks", TASK_FAULTS);
  service.app.get(
    "/tasks/problems",
    {
      schema: {
        operationId: "problems",
        summary: "What each problem means",
        response: {
          200: {
            description: "A page; each problem's `type` points into it.",
            content: { "text/html": { schema: Type.String() } },
          },
        },
      },
    },
    async (_request, reply) =>
      reply
        .header("content-security-policy", "default-src 'none'")
        .type("text/html; charset=utf-8")
        .send(page),
  );
}

function describe(service: Service, publicUrl: string): Json {
  return openApiDocument(
    service.routes,
    {
      title: "Tasks",
      version: API_VERSION,
      description:
        "A personal task manager. Everybody sees their own tasks only. Every change names the version it is based on (`If-Match`).",
      serverUrl: publicUrl,
      schemas: TASK_SCHEMAS,
    },
    TASK_FAULTS,
  );
}
