const fs = require("fs");
fs.appendFileSync("order.txt", `post ${process.env.STATE_kept};`);
if (process.env.STATE_kept === "first") console.log(`FACT order=${fs.readFileSync("order.txt", "utf8")}`);
