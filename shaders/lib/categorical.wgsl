// One of several classes by its logit, by one workgroup: each invocation has a run of neighbouring classes. The kernel
// that includes this, with math and reduce, says what the logit of a class is: `fn logit(class: u32) -> f32`. Ties go to the lowest class.

var<workgroup> best: array<vec2<u32>, ${lanes}>; // bits of the logit, class

struct Likeliest { logit: f32, index: u32 }

// The classes of one invocation, from x up to y.
fn run_of(lane: u32, classes: u32) -> vec2<u32> {
  let run = (classes + ${lanes}u - 1u) / ${lanes}u;
  let start = min(lane * run, classes);
  return vec2<u32>(start, min(start + run, classes));
}

fn likeliest(lane: u32, classes: u32) -> Likeliest {
  let own = run_of(lane, classes);
  var top = -3.4e38;
  var index = own.x;
  for (var i = own.x; i < own.y; i++) {
    let l = logit(i);
    if (l > top) {
      top = l;
      index = i;
    }
  }
  return likeliest_of(Likeliest(top, index), lane);
}

fn likelier(a: Likeliest, b: Likeliest) -> Likeliest {
  let second = b.logit > a.logit || (b.logit == a.logit && b.index < a.index);
  return Likeliest(select(a.logit, b.logit, second), select(a.index, b.index, second));
}

// The likeliest of one class from each invocation.
fn likeliest_of(own: Likeliest, lane: u32) -> Likeliest {
  best[lane] = vec2<u32>(bitcast<u32>(own.logit), own.index);
  workgroupBarrier();
  if (lane == 0u) {
    var top = own;
    for (var i = 1u; i < ${lanes}u; i++) {
      top = likelier(top, Likeliest(bitcast<f32>(best[i].x), best[i].y));
    }
    best[0] = vec2<u32>(bitcast<u32>(top.logit), top.index);
  }
  workgroupBarrier();
  return Likeliest(bitcast<f32>(best[0].x), best[0].y);
}

// Weight of a class relative to the likeliest.
fn weight(index: u32, top: f32, temperature: f32) -> f32 {
  return exp_((logit(index) - top) / temperature);
}

// The weights of one invocation's classes that are at least `low`.
fn weights_of(lane: u32, classes: u32, top: f32, temperature: f32, low: f32) -> f32 {
  let own = run_of(lane, classes);
  var sum = 0.0;
  for (var i = own.x; i < own.y; i++) {
    let w = weight(i, top, temperature);
    sum += select(0.0, w, w >= low);
  }
  return sum;
}

// The class at `share` (from 0 up to 1) of the sum of all weights that are at least `low`: the inverse of the cumulative
// distribution. Invocation 0 has it; the others get what they gave.
fn class_at(share: f32, top: Likeliest, temperature: f32, low: f32, lane: u32, classes: u32) -> u32 {
  partial[lane] = weights_of(lane, classes, top.logit, temperature, low);
  workgroupBarrier();
  if (lane != 0u) {
    return top.index;
  }
  var mass = 0.0;
  for (var i = 0u; i < ${lanes}u; i++) {
    mass += partial[i];
  }
  var left = share * mass;
  var l = 0u;
  while (l < ${lanes}u - 1u && left >= partial[l]) {
    left -= partial[l];
    l++;
  }
  let own = run_of(l, classes);
  var drawn = top.index;
  for (var i = own.x; i < own.y; i++) {
    let w = weight(i, top.logit, temperature);
    if (w >= low && w > 0.0) {
      drawn = i;
      if (left < w) {
        break;
      }
      left -= w;
    }
  }
  return drawn;
}
