const fs = require("fs");
fs.appendFileSync(process.env.GITHUB_STATE, `kept=${process.env.INPUT_NAME}\n`);
fs.appendFileSync("order.txt", `main ${process.env.INPUT_NAME};`);
