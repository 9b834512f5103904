`include "parts/row.v"
`define WIDTH 3
`ifdef NEVER
`include "missing.v"
`endif
module mul3u(input [`WIDTH-1:0] A, B, output [5:0] O);
  wire [`WIDTH-1:0] r0, r1, r2;
  row x0(A, B[0], r0);
  row x1(A, B[1], r1);
  row x2(A, B[2], r2);
  assign O = r0 + {r1, 1'b0} + {r2, 2'b00};
endmodule
