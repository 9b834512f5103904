module mul4u(input clock, input [3:0] A, B, output reg [7:0] O);
  always @(posedge clock) O <= A * B;
endmodule
