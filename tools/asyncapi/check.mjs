// Fails when an AsyncAPI document is not valid: node check.mjs FILE
import { readFileSync } from "node:fs";
import { Parser } from "@asyncapi/parser";

const { document, diagnostics } = await new Parser().parse(readFileSync(process.argv[2], "utf8"));
for (const d of diagnostics) console.error(`${d.path.join("/")}: ${d.message} (${d.code})`);
if (!document || document.version() !== "3.1.0" || diagnostics.length > 0) {
  console.error(`${process.argv[2]} is not a valid AsyncAPI 3.1.0 document`);
  process.exit(1);
}
console.log(`AsyncAPI ${document.version()}: ${document.messages().length} messages, ${document.channels().length} channels, valid`);
