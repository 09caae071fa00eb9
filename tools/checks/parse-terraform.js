// Parses files of Terraform with HashiCorp's own parser of HCL, and says where one is wrong.
const { readFileSync } = require("fs");
const { parse } = require("@cdktf/hcl2json");

async function main(paths) {
  for (const path of paths) {
    await parse(path, readFileSync(path, "utf8"));
  }
}

main(process.argv.slice(2)).catch((error) => {
  console.error(String(error));
  process.exit(1);
});
