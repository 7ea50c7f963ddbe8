// Standard clients of GraphQL.
//
// Usage: node graphql.mjs http://HOST:PORT/graphql [QUERY ...]
//
// Prints a line of JSON for each: the audits of GraphQL-over-HTTP that are not met, the types of the schema as a client builds it
// from introspection, and what each QUERY gives.

import { auditServer } from "graphql-http";
import { buildClientSchema, getIntrospectionQuery, printSchema, validateSchema } from "graphql";

const [url, ...queries] = process.argv.slice(2);

async function ask(query) {
  const response = await fetch(url, {
    method: "POST",
    headers: { "content-type": "application/json", accept: "application/graphql-response+json" },
    body: JSON.stringify({ query }),
  });
  return response.json();
}

const audits = await auditServer({ url, fetchFn: fetch });
const unmet = audits.filter((audit) => audit.status !== "ok");
const told = unmet.map(({ id, name, status, reason }) => ({ id, name, status, reason: String(reason) }));
console.log(JSON.stringify({ audits: audits.length, unmet: told }));

const { data, errors } = await ask(getIntrospectionQuery({ specifiedByUrl: true, inputValueDeprecation: true, oneOf: true }));
if (errors) throw new Error(JSON.stringify(errors));
const schema = buildClientSchema(data);
console.log(JSON.stringify({ problems: validateSchema(schema).map(String), sdl: printSchema(schema) }));

for (const query of queries) console.log(JSON.stringify(await ask(query)));
