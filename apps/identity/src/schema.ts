import type { Migration } from "@tidegate/service-kit";
import { PEOPLE_MIGRATIONS, type PeopleTables } from "./people/people-schema.ts";
import { PROVIDER_MIGRATIONS, type ProviderTables } from "./provider/provider-schema.ts";

/** Every table of the one database file: what the provider issued, and who its people are. */
export type IdentityTables = ProviderTables & PeopleTables;

/** Steps in the order in which they were written, whichever part they belong to: one that has shipped keeps its place. */
export const MIGRATIONS: readonly Migration[] = [
  PROVIDER_MIGRATIONS.artifacts,
  PEOPLE_MIGRATIONS.people,
  PROVIDER_MIGRATIONS.consentsOfPeople,
  PROVIDER_MIGRATIONS.interactionsByAge,
];
