package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/sallyport/sallyport/gateway"
)

func costCommand() *cobra.Command {
	o := gateway.DefaultCostOptions()
	var asJSON, noChart bool
	var svg, claims string
	var width int
	cmd := &cobra.Command{
		Use:   "cost",
		Short: "Measure what sessions and JWTs cost on this machine",
		Long: `Measure a session cookie and JWTs of five algorithms, with 10 claims and with 50
groups: bytes in the request, CPU for each validation, look-ups in the store, the
time until a revocation bites, and money a month. It decides on requests as the
gateway does, in this process, and takes some four seconds. It reads no
configuration.

--claims takes a JSON object, such as the payload of one of your tokens, and
measures that as well. iss, sub and aud are added where they are missing; the
times are replaced.`,
		Example: `  sallyport cost
  sallyport cost --requests-per-day 50000000 --price-per-gb 0.02
  sallyport cost --claims claims.json --svg cost.svg
  sallyport cost --json | jq '.rows[] | [.credential, .claims, .bytes.http1]'`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.Validate(); err != nil {
				return err
			}
			if claims != "" {
				object, err := os.ReadFile(claims)
				if err != nil {
					return err
				}
				if o.Claims, err = gateway.ParseCostClaims(filepath.Base(claims), object); err != nil {
					return fmt.Errorf("%s: %w", claims, err)
				}
			}
			report, err := gateway.MeasureCost(cmd.Context(), o)
			if err != nil {
				return atRunTime(err)
			}
			if svg != "" {
				if err := writeSVG(svg, report); err != nil {
					return atRunTime(err)
				}
			}
			out := cmd.OutOrStdout()
			if asJSON {
				return atRunTime(report.WriteJSON(out))
			}
			if err := report.WriteTable(out); err != nil || noChart {
				return atRunTime(err)
			}
			fmt.Fprintln(out)
			return atRunTime(report.WriteChart(out, chartWidth(out, width)))
		},
	}
	f := cmd.Flags()
	f.Int64Var(&o.RequestsPerDay, "requests-per-day", o.RequestsPerDay, "how many requests carry the credential")
	f.Float64Var(&o.PricePerGB, "price-per-gb", o.PricePerGB, "dollars for 10^9 bytes of requests")
	f.DurationVar(&o.TokenLifetime, "token-lifetime", o.TokenLifetime, "how long a JWT is valid")
	f.IntVar(&o.RequestsPerConnection, "requests-per-connection", o.RequestsPerConnection, "requests on one HTTP/2 connection")
	f.StringVar(&claims, "claims", "", "a file with a JSON object of claims, to be measured as well")
	f.BoolVar(&asJSON, "json", false, "write the report as JSON to standard output")
	f.StringVar(&svg, "svg", "", "also draw the charts into this file")
	f.BoolVar(&noChart, "no-chart", false, "write the table without the charts")
	f.IntVar(&width, "width", 0, "columns of the charts; 0: those of the terminal, or 100")
	f.IntVar(&o.Rounds, "rounds", o.Rounds, "rounds of each measurement; more take longer and vary less")
	f.DurationVar(&o.Round, "round", o.Round, "how much CPU time a round takes")
	return cmd
}

// chartWidth is what was asked for, or what the terminal has.
func chartWidth(out io.Writer, asked int) int {
	if asked > 0 {
		return asked
	}
	if f, ok := out.(*os.File); ok {
		if columns, _, err := term.GetSize(int(f.Fd())); err == nil && columns > 0 {
			return min(columns, 140)
		}
	}
	return 100
}

func writeSVG(file string, report *gateway.CostReport) error {
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	return errors.Join(report.WriteSVG(f), f.Close())
}
