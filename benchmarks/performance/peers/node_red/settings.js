// Node-RED without editor and pages; a line on its input is answered with how many messages the flow has judged.
const tally = { heard: 0, ready: () => process.stdout.write("ready\n") };

process.stdin.on("data", (lines) => {
    for (const byte of lines) {
        if (byte === 10) process.stdout.write(`${tally.heard}\n`);
    }
});

module.exports = {
    httpAdminRoot: false,
    httpNodeRoot: false,
    functionGlobalContext: { tally },
    logging: { console: { level: "off", metrics: false, audit: false } },
};
