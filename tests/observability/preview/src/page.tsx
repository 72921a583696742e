// A dashboard's file drawn with Grafana's own components, for tests and pictures. Not a Grafana server.
//
// ?dashboard=ADDRESS&prometheus=ADDRESS&scrape=SECONDS&minutes=NUMBER&var-NAME=VALUE&theme=dark|light

import { EventBusSrv, ThemeContext, createTheme } from '@grafana/data';
import { GlobalStyles, PanelContextProvider } from '@grafana/ui';
import { useLayoutEffect, useRef, useState } from 'react';
import { createRoot } from 'react-dom/client';

import { Board, COLUMNS, Filled, Told } from './board';
import { readDashboard } from './dashboard';
import { withFieldConfig } from './fields';
import { rangeOf } from './panels';
import { Prometheus } from './prometheus';

const asked = new URLSearchParams(location.search);
const theme = createTheme({ colors: { mode: asked.get('theme') === 'light' ? 'light' : 'dark' } });
const context = { eventsScope: 'preview', eventBus: new EventBusSrv(), canAddAnnotations: () => false };

/** Everything that is drawn. The font first: the panels measure their words by it. */
async function tell(width: number): Promise<Told> {
  await Promise.all(['400', '500'].map((weight) => document.fonts.load(`${weight} ${theme.typography.body.fontSize} Inter`)));
  const range = rangeOf(Number(asked.get('minutes')));
  const prometheus = new Prometheus(asked.get('prometheus')!, range, Number(asked.get('scrape')));
  const dashboard = await readDashboard(asked.get('dashboard')!);
  const chosen = await prometheus.choose(dashboard.templating.list, asked);
  const filled = dashboard.panels.map(async (panel): Promise<Filled> => {
    try {
      const frames = await prometheus.frames(panel, chosen, (width * panel.gridPos.w) / COLUMNS);
      return { panel, data: withFieldConfig(frames, panel, theme) };
    } catch (error) {
      return { panel, data: [], error: String(error) };
    }
  });
  const spans = dashboard.annotations.list.map((one) => prometheus.spans(one, chosen));
  return {
    dashboard,
    chosen,
    filled: await Promise.all(filled),
    spans: (await Promise.all(spans)).flat(),
    range,
  };
}

function Page() {
  const [told, setTold] = useState<Told>();
  const [error, setError] = useState('');
  const frame = useRef<HTMLDivElement>(null);
  const width = frame.current?.clientWidth ?? 0;
  useLayoutEffect(() => {
    tell(frame.current!.clientWidth).then(setTold, (reason) => setError(String(reason)));
  }, []);
  return (
    <ThemeContext.Provider value={theme}>
      <GlobalStyles />
      <PanelContextProvider value={context}>
        <div ref={frame}>
          {error && <p data-wrong>{error}</p>}
          {told && <Board told={told} width={width} />}
        </div>
      </PanelContextProvider>
    </ThemeContext.Provider>
  );
}

createRoot(document.getElementById('page')!).render(<Page />);
