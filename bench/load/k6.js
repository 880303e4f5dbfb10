// The load of `make load`, made by k6: the same people, the same requests and the
// same server, seen by a client that somebody else wrote. Package main of this
// directory runs it where k6 is on the PATH, and reads what it measured.
//
// Each person makes two requests a second, nine of ten read, one creates a task. As
// they do not wait for each other, requests begin at a rate and not one after the
// other; what k6 could not begin in time is dropped, and counts as failed.
//
// By itself: k6 run -e MGX_LOAD=load.json bench/load/k6.js, where the file says
// {"url": …, "keys": […], "runs": […], "project": …, "length": seconds}.

import http from 'k6/http';
import exec from 'k6/execution';

const given = JSON.parse(open(__ENV.MGX_LOAD));
const perUser = 2;

// What people may wait, in milliseconds.
const bounds = {
  read: ['p(95)<=10', 'p(99)<=50'],
  create: ['p(95)<=30'],
};

const phases = [];
let begins = 0;

function phase(name, from, to, lengths) {
  const length = Math.max(1, Math.round(lengths * given.length));
  phases.push({
    name,
    scenario: {
      executor: 'ramping-arrival-rate',
      startTime: `${begins}s`,
      startRate: from * perUser,
      timeUnit: '1s',
      stages: [{ target: to * perUser, duration: `${length}s` }],
      preAllocatedVUs: Math.max(from, to),
      maxVUs: 2 * Math.max(from, to),
      gracefulStop: '10s',
      tags: { kind: 'none' },
    },
  });
  begins += length;
}

phase('base_line', 50, 50, 1);
phase('ramp', 50, 500, 2);
phase('top', 500, 500, 1);
phase('before_spike', 50, 50, 0.5);
phase('spike', 500, 500, 0.5);
phase('after_spike', 50, 50, 0.5);
phase('soak', 200, 200, 6);

const thresholds = {};
for (const { name } of phases) {
  for (const kind of Object.keys(bounds)) {
    thresholds[`http_req_duration{scenario:${name},kind:${kind}}`] = bounds[kind];
  }
  thresholds[`http_req_failed{scenario:${name}}`] = ['rate==0'];
  thresholds[`http_reqs{scenario:${name}}`] = ['count>0'];
  thresholds[`dropped_iterations{scenario:${name}}`] = ['count==0'];
}

export const options = {
  scenarios: Object.fromEntries(phases.map(({ name, scenario }) => [name, scenario])),
  thresholds,
  summaryTrendStats: ['med', 'p(95)', 'p(99)', 'count'],
  discardResponseBodies: true,
};

const any = (n) => Math.floor(Math.random() * n);

function read() {
  const n = any(10);
  if (n < 4) return '/api/v1/runs?limit=20';
  if (n < 8) return `/api/v1/runs/${given.runs[any(given.runs.length)]}`;
  if (n < 9) return '/api/v1/events?limit=50';
  return '/api/v1/budgets';
}

export default function person() {
  const headers = { Authorization: `Bearer ${given.keys[exec.vu.idInTest % given.keys.length]}` };
  if (any(10) > 0) {
    const path = read();
    http.get(given.url + path, { headers, tags: { kind: 'read', name: path.split('?')[0].replace(/run_.*/, 'RUN') } });
    return;
  }
  headers['Content-Type'] = 'application/json';
  const task = { task: `Add a test for case ${any(1e6)} of the parser.`, project_id: given.project, model: 'openai/none' };
  http.post(`${given.url}/api/v1/tasks`, JSON.stringify(task), { headers, tags: { kind: 'create', name: '/api/v1/tasks' } });
}
