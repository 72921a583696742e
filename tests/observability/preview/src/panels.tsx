// Each kind of panel by the components that Grafana's packages export for it, options as Grafana's panels begin.

import {
  DataFrame,
  FieldDisplay,
  GrafanaTheme2,
  TimeRange,
  VizOrientation,
  dateTime,
  getDisplayValueAlignmentFactors,
  getFieldDisplayValues,
} from '@grafana/data';
import { BarGaugeDisplayMode, BarGaugeValueMode, LegendDisplayMode, VizLegendOptions } from '@grafana/schema';
import {
  BarGauge,
  BigValue,
  BigValueColorMode,
  BigValueGraphMode,
  BigValueTextMode,
  TimeSeries,
  VizRepeater,
  useTheme2,
} from '@grafana/ui';

import { Panel } from './dashboard';
import { Span } from './prometheus';
import { markSpans } from './spans';

export type Drawn = {
  panel: Panel;
  data: DataFrame[];
  spans: Span[];
  range: TimeRange;
  width: number;
  height: number;
};

export const KINDS: Record<string, (drawn: Drawn) => React.JSX.Element> = {
  timeseries: Lines,
  stat: Stat,
  bargauge: Bars,
};

function Lines({ panel, data, spans, range, width, height }: Drawn) {
  const legend: VizLegendOptions = {
    displayMode: LegendDisplayMode.List,
    placement: 'bottom',
    showLegend: true,
    calcs: [],
    ...(panel.options.legend as Partial<VizLegendOptions>),
  };
  const theme = useTheme2();
  return (
    <TimeSeries frames={data} timeRange={range} timeZone="utc" width={width} height={height} legend={legend}>
      {(builder) => {
        markSpans(builder, spans, theme);
        return null;
      }}
    </TimeSeries>
  );
}

function Stat({ panel, data, width, height }: Drawn) {
  const theme = useTheme2();
  const values = reduced(panel, data, theme);
  const { orientation = VizOrientation.Auto, textMode = BigValueTextMode.Auto } = panel.options as {
    orientation?: VizOrientation;
    textMode?: BigValueTextMode;
  };
  return (
    <VizRepeater<FieldDisplay, ReturnType<typeof getDisplayValueAlignmentFactors>>
      getValues={() => values}
      getAlignmentFactors={getDisplayValueAlignmentFactors}
      source={data}
      renderCounter={0}
      width={width}
      height={height}
      orientation={orientation}
      itemSpacing={3}
      autoGrid
      renderValue={({ value, width: itemWidth, height: itemHeight, alignmentFactors, count }) => (
        <BigValue
          value={value.display}
          count={count}
          width={itemWidth}
          height={itemHeight}
          alignmentFactors={alignmentFactors}
          colorMode={BigValueColorMode.Value}
          graphMode={BigValueGraphMode.Area}
          textMode={textMode}
          theme={theme}
        />
      )}
    />
  );
}

function Bars({ panel, data, width, height }: Drawn) {
  const theme = useTheme2();
  const values = reduced(panel, data, theme);
  const { orientation = VizOrientation.Auto } = panel.options as { orientation?: VizOrientation };
  return (
    <VizRepeater<FieldDisplay, ReturnType<typeof getDisplayValueAlignmentFactors>>
      getValues={() => values}
      getAlignmentFactors={getDisplayValueAlignmentFactors}
      source={data}
      renderCounter={0}
      width={width}
      height={height}
      orientation={orientation}
      minVizWidth={8}
      minVizHeight={16}
      maxVizHeight={300}
      renderValue={({ value, width: itemWidth, height: itemHeight, alignmentFactors, orientation: way }) => (
        <BarGauge
          value={value.display}
          field={value.field}
          width={itemWidth}
          height={itemHeight}
          orientation={way}
          alignmentFactors={alignmentFactors}
          displayMode={BarGaugeDisplayMode.Gradient}
          valueDisplayMode={BarGaugeValueMode.Color}
          showUnfilled
          theme={theme}
        />
      )}
    />
  );
}

function reduced(panel: Panel, data: DataFrame[], theme: GrafanaTheme2): FieldDisplay[] {
  return getFieldDisplayValues({
    data,
    fieldConfig: panel.fieldConfig,
    reduceOptions: { values: false, calcs: ['lastNotNull'] },
    replaceVariables: (text) => text,
    theme,
    timeZone: 'utc',
  });
}

export function rangeOf(minutes: number): TimeRange {
  const to = dateTime();
  const from = dateTime(to.valueOf() - 60_000 * minutes);
  return { from, to, raw: { from, to } };
}
