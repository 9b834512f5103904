`ifndef ROW
`define ROW
module row(input [2:0] a, input b, output [2:0] o); assign o = b ? a : 3'd0; endmodule
`endif
