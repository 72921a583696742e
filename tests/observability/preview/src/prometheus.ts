// What Grafana's Prometheus data source does with a query: variables, step, legend, frames. Prometheus is asked directly.

import { DataFrame, FieldType, Labels, TimeRange, createDataFrame } from '@grafana/data';

import { Annotations, Panel, Target, Variable } from './dashboard';

export type Chosen = Record<string, string>;
export type Span = { text: string; fromMs: number; toMs: number };
type Series = { metric: Labels; value?: [number, string]; values?: [number, string][] };

export class Prometheus {
  constructor(
    private readonly address: string,
    private readonly range: TimeRange,
    private readonly scrapeS: number
  ) {}

  /** One value of each variable: that asked for, else all where all is offered, else the first. */
  async choose(variables: Variable[], asked: URLSearchParams): Promise<Chosen> {
    const chosen: Chosen = {};
    for (const variable of variables) {
      const wanted = asked.get(`var-${variable.name}`);
      const all = variable.includeAll ? variable.allValue : undefined;
      chosen[variable.name] = wanted ?? all ?? (await this.values(variable, chosen))[0] ?? '';
    }
    return chosen;
  }

  async frames(panel: Panel, chosen: Chosen, width: number): Promise<DataFrame[]> {
    const answers = await Promise.all(panel.targets.map((target) => this.target(target, chosen, width)));
    return answers.flat();
  }

  /** Stretches of time in which an annotation's query yields something. */
  async spans(annotations: Annotations, chosen: Chosen): Promise<Span[]> {
    const stepS = this.scrapeS;
    const expr = this.spelt(annotations.expr, chosen, stepS);
    const found: Series[] = await this.ask('query_range', { query: expr, ...this.bounds(), step: String(stepS) });
    return found.flatMap((series) => stretches(series, annotations.titleFormat, 1.5 * stepS));
  }

  private async target(target: Target, chosen: Chosen, width: number): Promise<DataFrame[]> {
    const seconds = this.range.to.diff(this.range.from, 'seconds');
    const stepS = Math.max(this.scrapeS, Math.ceil(seconds / width));
    const query = this.spelt(target.expr, chosen, stepS);
    const found: Series[] = target.instant
      ? await this.ask('query', { query, time: this.bounds().end })
      : await this.ask('query_range', { query, ...this.bounds(), step: String(stepS) });
    return found.map((series) => frame(series, target, query, target.instant ? 0 : stepS));
  }

  private spelt(expr: string, chosen: Chosen, stepS: number): string {
    const rateS = Math.max(stepS + this.scrapeS, 4 * this.scrapeS);
    const words: Chosen = { ...chosen, __rate_interval: `${rateS}s` };
    return expr.replace(/\$(\w+)/g, (whole, name) => words[name] ?? whole);
  }

  private async values(variable: Variable, chosen: Chosen): Promise<string[]> {
    const told = /^label_values\((.+), *(\w+)\)$/.exec(variable.query.query);
    if (!told) {
      throw new Error(`no label_values: ${variable.query.query}`);
    }
    const words = { 'match[]': this.spelt(told[1], chosen, this.scrapeS), ...this.bounds() };
    return this.ask(`label/${told[2]}/values`, words);
  }

  private bounds() {
    return { start: String(this.range.from.unix()), end: String(this.range.to.unix()) };
  }

  private async ask(what: string, words: Record<string, string>) {
    const answer = await fetch(`${this.address}/api/v1/${what}?${new URLSearchParams(words)}`);
    const told = await answer.json();
    if (told.status !== 'success') {
      throw new Error(told.error);
    }
    return told.data.result ?? told.data;
  }
}

function frame(series: Series, target: Target, query: string, stepS: number): DataFrame {
  const at = new Map((series.values ?? [series.value!]).map(([time, value]) => [time, Number(value)]));
  const times = stepS ? grid([...at.keys()], stepS) : [...at.keys()];
  const name = legend(target.legendFormat, series.metric, query);
  return createDataFrame({
    refId: target.refId,
    fields: [
      { name: 'Time', type: FieldType.time, values: times.map((time) => 1000 * time), config: { interval: 1000 * stepS } },
      {
        name: 'Value',
        type: FieldType.number,
        labels: series.metric,
        values: times.map((time) => at.get(time) ?? null),
        config: name ? { displayNameFromDS: name } : {},
      },
    ],
  });
}

/** Every step between the first time and the last: where a value is missing the line has a gap. */
function grid(times: number[], stepS: number): number[] {
  const count = Math.round((times[times.length - 1] - times[0]) / stepS) + 1;
  return Array.from({ length: count }, (_, at) => times[0] + at * stepS);
}

function legend(format: string, labels: Labels, query: string): string {
  if (format === '__auto') {
    return Object.keys(labels).length ? '' : query;
  }
  return filled(format, labels);
}

function filled(format: string, labels: Labels): string {
  return format.replace(/{{\s*(\w+)\s*}}/g, (_, name) => labels[name] ?? '');
}

function stretches(series: Series, title: string, gapS: number): Span[] {
  const spans: Span[] = [];
  for (const [time] of series.values ?? []) {
    const last = spans[spans.length - 1];
    if (last && 1000 * (time - gapS) <= last.toMs) {
      last.toMs = 1000 * time;
    } else {
      spans.push({ text: filled(title, series.metric), fromMs: 1000 * time, toMs: 1000 * time });
    }
  }
  return spans;
}
