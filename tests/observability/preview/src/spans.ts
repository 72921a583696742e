// Annotations as Grafana marks them on a graph: a shaded stretch of time with a bar below. Its own marker is not public.

import { GrafanaTheme2, colorManipulator } from '@grafana/data';
import { UPlotConfigBuilder } from '@grafana/ui';

import { Span } from './prometheus';

const BAR_PX = 5;
const marked = new WeakSet<UPlotConfigBuilder>();

export function markSpans(builder: UPlotConfigBuilder, spans: Span[], theme: GrafanaTheme2) {
  if (marked.has(builder)) {
    return;
  }
  marked.add(builder);
  const colour = theme.visualization.getColorByName('red');
  builder.addHook('draw', ({ ctx, bbox, valToPos }) => {
    ctx.save();
    for (const { fromMs, toMs } of spans) {
      const [left, right] = [fromMs, toMs].map((ms) => valToPos(ms, 'x', true));
      ctx.fillStyle = colorManipulator.alpha(colour, 0.1);
      ctx.fillRect(left, bbox.top, right - left, bbox.height);
      ctx.fillStyle = colour;
      ctx.fillRect(left, bbox.top + bbox.height, right - left, BAR_PX);
    }
    ctx.restore();
  });
}
