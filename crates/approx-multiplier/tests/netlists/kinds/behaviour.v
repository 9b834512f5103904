// Adds the rows of an array one after the other, without their K lowest columns.
module mul_rows #(parameter N = 4, parameter K = 2) (input [N-1:0] a, input [N-1:0] b, output reg [2*N-1:0] p);
  localparam [2*N-1:0] KEPT = ~((1 << K) - 1);
  integer i;
  reg [2*N-1:0] row;
  always @* begin
    p = 0;
    for (i = 0; i < N; i = i + 1) begin
      row = a << i;
      case (b[i])
        1'b1: p = p + (row & KEPT);
        default: ;
      endcase
    end
  end
endmodule
