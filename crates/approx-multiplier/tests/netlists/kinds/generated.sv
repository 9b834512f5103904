// The same sum, cell by cell; parts of a column below CUT are left out.
module part(input x, y, output z); assign z = x & y; endmodule
module mul_cells #(parameter int N = 4, parameter int CUT = 3) (input logic [N-1:0] a, b, output logic [2*N-1:0] p);
  wire [2*N-1:0] sums [0:N];
  genvar i, j;
  assign sums[0] = '0;
  for (i = 0; i < N; i = i + 1) begin
    wire [N-1:0] parts;
    for (j = 0; j < N; j = j + 1)
      if (i + j < CUT) assign parts[j] = 1'b0;
      else part c(.x(a[j]), .y(b[i]), .z(parts[j]));
    assign sums[i+1] = sums[i] + (parts << i);
  end
  assign p = sums[N];
endmodule
