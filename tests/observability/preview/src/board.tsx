// The dashboard's grid, each panel in Grafana's frame.

import { DataFrame, TimeRange } from '@grafana/data';
import { PanelChrome } from '@grafana/ui';

import { Dashboard, Panel } from './dashboard';
import { KINDS } from './panels';
import { Chosen, Span } from './prometheus';

const ROW_PX = 30;
const GAP_PX = 8;
export const COLUMNS = 24;

export type Filled = { panel: Panel; data: DataFrame[]; error?: string };
export type Told = { dashboard: Dashboard; chosen: Chosen; filled: Filled[]; spans: Span[]; range: TimeRange };
type Area = { width: number; height: number };

function Cell({ one, spans, range, width }: { one: Filled; spans: Span[]; range: TimeRange; width: number }) {
  const { x, y, w, h } = one.panel.gridPos;
  const column = (width + GAP_PX) / COLUMNS;
  const place = { left: x * column, top: y * (ROW_PX + GAP_PX) };
  const size = { width: w * column - GAP_PX, height: h * (ROW_PX + GAP_PX) - GAP_PX };
  return (
    <section data-panel={one.panel.id} style={{ position: 'absolute', ...place, ...size }}>
      <PanelChrome {...size} title={one.panel.title} description={one.panel.description} statusMessage={one.error}>
        {(innerWidth: number, innerHeight: number) => <Inside one={one} spans={spans} range={range} area={{ width: innerWidth, height: innerHeight }} />}
      </PanelChrome>
    </section>
  );
}

function Centred({ area, name, text }: { area: Area; name: string; text: string }) {
  return <p {...{ [name]: '' }} style={{ ...area, display: 'grid', placeContent: 'center' }}>{text}</p>;
}

function Inside({ one, spans, range, area }: { one: Filled; spans: Span[]; range: TimeRange; area: Area }) {
  const Kind = KINDS[one.panel.type];
  if (one.error || !Kind) {
    return <Centred area={area} name="data-wrong" text={one.error ?? `no component for ${one.panel.type}`} />;
  }
  if (one.data.length === 0) {
    return <Centred area={area} name="data-empty" text={one.panel.fieldConfig.defaults.noValue ?? 'No data'} />;
  }
  return <Kind panel={one.panel} data={one.data} spans={spans} range={range} {...area} />;
}

export function Board({ told, width }: { told: Told; width: number }) {
  const rows = Math.max(...told.dashboard.panels.map(({ gridPos }) => gridPos.y + gridPos.h));
  const chosen = told.dashboard.templating.list.map(
    ({ name, label, allValue }) => `${label}: ${told.chosen[name] === allValue ? 'All' : told.chosen[name]}`
  );
  const from = told.range.from.utc().format('HH:mm:ss');
  const to = told.range.to.utc().format('HH:mm:ss');
  return (
    <>
      <header style={{ display: 'flex', gap: 24, alignItems: 'baseline', marginBottom: GAP_PX }}>
        <h4>{told.dashboard.title}</h4>
        <span>{chosen.join(' · ')}</span>
        <span style={{ marginLeft: 'auto' }}>
          {from} to {to} UTC
        </span>
      </header>
      <main style={{ position: 'relative', height: rows * (ROW_PX + GAP_PX) - GAP_PX }}>
        {told.filled.map((one) => (
          <Cell key={one.panel.id} one={one} spans={told.spans} range={told.range} width={width} />
        ))}
      </main>
    </>
  );
}
