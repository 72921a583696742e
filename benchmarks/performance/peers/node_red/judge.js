// Body of a function node: 5-sigma of each channel against the last 128 rows of its machine.
const WINDOW_ROWS = 128;
const LIMIT = 5;

const machine = msg.topic.slice(msg.topic.lastIndexOf("/") + 1);
let machines = context.get("machines");
if (machines === undefined) {
    machines = new Map();
    context.set("machines", machines);
}
let channels = machines.get(machine);
if (channels === undefined) {
    channels = new Map();
    machines.set(machine, channels);
}

let worst = 0;
for (const [name, told] of Object.entries(msg.payload.values)) {
    let known = channels.get(name);
    if (known === undefined) {
        known = { kept: new Float64Array(WINDOW_ROWS), rows: 0, sum: 0, squares: 0 };
        channels.set(name, known);
    }
    for (const value of Array.isArray(told) ? told : [told]) {
        const at = known.rows % WINDOW_ROWS;
        if (known.rows >= WINDOW_ROWS) {
            const mean = known.sum / WINDOW_ROWS;
            const spread = Math.sqrt(Math.max(known.squares / WINDOW_ROWS - mean * mean, 1e-12));
            worst = Math.max(worst, Math.abs(value - mean) / spread);
            known.sum -= known.kept[at];
            known.squares -= known.kept[at] ** 2;
        }
        known.kept[at] = value;
        known.sum += value;
        known.squares += value * value;
        known.rows += 1;
    }
}
global.get("tally").heard += 1;
return worst > LIMIT ? { topic: `alerts/${machine}`, payload: { machine, deviation: worst } } : null;
