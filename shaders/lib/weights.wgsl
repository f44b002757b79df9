// How a matrix of weights is read, a quad of a row at a time: the one way, whatever their type. ${weights} names the matrices
// that a kernel binds; it says in NAME_row at which quad a row of each begins.
#for t in ${weights}
#if ${eights}
// Two quads at once, the first of them even.
fn load_#t(at: u32) -> vec4<u32> {
  return #t[at / 2u];
}
#else
fn load_#t(at: u32) -> vec4<f32> {
  return from_${w}(#t[at]);
}
#endif
#endfor
