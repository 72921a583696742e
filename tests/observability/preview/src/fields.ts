// What a panel's field configuration may say. Grafana's application has a longer table, which its packages do not export; a word
// that is not here is shown as a fault, lest it be passed over in silence.

import {
  DataFrame,
  FieldConfigOptionsRegistry,
  FieldConfigPropertyItem,
  FieldConfigSource,
  GrafanaTheme2,
  applyFieldOverrides,
  identityOverrideProcessor,
} from '@grafana/data';

const STANDARD = ['unit', 'min', 'max', 'decimals', 'displayName', 'noValue', 'thresholds', 'mappings', 'color'];
const CUSTOM = [
  'drawStyle',
  'lineInterpolation',
  'lineWidth',
  'lineStyle',
  'fillOpacity',
  'gradientMode',
  'showPoints',
  'pointSize',
  'spanNulls',
  'stacking',
  'thresholdsStyle',
  'axisSoftMin',
  'axisSoftMax',
  'axisPlacement',
];
/** As Grafana's time series panel begins. */
const CUSTOM_DEFAULTS = {
  drawStyle: 'line',
  lineInterpolation: 'linear',
  lineWidth: 1,
  fillOpacity: 0,
  gradientMode: 'none',
  showPoints: 'auto',
  pointSize: 5,
  spanNulls: false,
  axisPlacement: 'auto',
};

const registry = new FieldConfigOptionsRegistry(() => [
  ...STANDARD.map((path) => item(path, path, false)),
  ...CUSTOM.map((path) => item(`custom.${path}`, path, true)),
]);

export function withFieldConfig(
  data: DataFrame[],
  { type, fieldConfig }: { type: string; fieldConfig: FieldConfigSource },
  theme: GrafanaTheme2
): DataFrame[] {
  refuseUnknown(fieldConfig);
  const defaults = { color: defaultColour(type), ...fieldConfig.defaults };
  defaults.custom = { ...CUSTOM_DEFAULTS, ...fieldConfig.defaults.custom };
  return applyFieldOverrides({
    data,
    fieldConfig: { defaults, overrides: fieldConfig.overrides },
    fieldConfigRegistry: registry,
    replaceVariables: (text) => text,
    theme,
    timeZone: 'utc',
  });
}

/** Lines are told apart by their colours, single values are coloured by their thresholds. */
function defaultColour(type: string) {
  return { mode: type === 'timeseries' ? 'palette-classic' : 'thresholds' };
}

function refuseUnknown({ defaults, overrides }: FieldConfigSource) {
  const { custom = {}, ...standard } = defaults;
  const words = [
    ...Object.keys(standard),
    ...Object.keys(custom).map((word) => `custom.${word}`),
    ...overrides.flatMap((rule) => rule.properties.map((property) => property.id)),
  ];
  const unknown = words.filter((word) => !registry.getIfExists(word));
  if (unknown.length) {
    throw new Error(`the preview does not know ${unknown.join(', ')}`);
  }
}

function item(id: string, path: string, isCustom: boolean): FieldConfigPropertyItem {
  const nobody = () => null;
  return {
    id,
    path,
    isCustom,
    name: id,
    editor: nobody,
    override: nobody,
    process: identityOverrideProcessor,
    shouldApply: () => true,
  };
}
