import { Device } from '../engine/device.ts';
import { loadMMAR } from '../model/mmar.ts';
import { node_platform } from '../platform/node.ts';
import { node_adapter } from '../platform/node_gpu.ts';
const t0=performance.now(); const T=(l:string)=>console.log(l.padEnd(20), ((performance.now()-t0)/1000).toFixed(2));
const {adapter,name}=await node_adapter(process.argv[2]); console.log(name);
const device=await Device.open(adapter);
const model=await loadMMAR(node_platform.source('checkpoints/emoji'),{device, precision: (process.argv[3] as 'bf16')??'bf16'}); T('loaded');
for (let i=0;i<3;i++){ model.set_profile(true);
const s=performance.now(); let pic; for await (const step of model.generate({prompt:'red apple',seed:1})) { if(step.known===step.total) pic=await step.preview(); }
T('drawn '+((performance.now()-s)/1000).toFixed(2)); 
const buf=await crypto.subtle.digest('SHA-256', pic!.data as Uint8ClampedArray<ArrayBuffer>); console.log(Buffer.from(buf).toString('hex').slice(0,16), JSON.stringify(model.set_profile(false)), device.pipelines.count, model.memory());
if(i==0) (await import('node:fs')).writeFileSync('/tmp/apple-'+process.argv[2]+'.png', await node_platform.encode_png(pic!));
let s2=performance.now(); let text=''; for await (const p of model.describe({image:pic!})) text+=p.text; console.log(text, ((performance.now()-s2)/1000).toFixed(2)); }
process.exit(0);
