// What is read of a dashboard's file: the parts that Grafana's panels need, as Grafana's dashboard schema names them.

import { FieldConfigSource } from '@grafana/data';

export type Target = { refId: string; expr: string; legendFormat: string; instant: boolean };
export type Panel = {
  id: number;
  type: string;
  title: string;
  description?: string;
  gridPos: { x: number; y: number; w: number; h: number };
  fieldConfig: FieldConfigSource;
  options: Record<string, unknown>;
  targets: Target[];
};
export type Variable = {
  name: string;
  label: string;
  query: { query: string };
  includeAll?: boolean;
  allValue?: string;
};
export type Annotations = { name: string; expr: string; iconColor: string; titleFormat: string };
export type Dashboard = {
  uid: string;
  title: string;
  panels: Panel[];
  templating: { list: Variable[] };
  annotations: { list: Annotations[] };
};

export async function readDashboard(address: string): Promise<Dashboard> {
  const answer = await fetch(address);
  if (!answer.ok) {
    throw new Error(`${address}: ${answer.status}`);
  }
  return answer.json();
}
