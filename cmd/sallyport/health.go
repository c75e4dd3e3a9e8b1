package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/gateway/config"
)

// maxHealth is how much of an answer is read, in bytes.
const maxHealth = 64 << 10

func healthCommand() *cobra.Command {
	var file, at string
	var ready bool
	var tls adminTLS
	var timeout time.Duration
	cmd := &cobra.Command{
		Use:   "health",
		Short: "Ask a running gateway how it is",
		Long: `Ask the admin listener of a gateway that runs whether it is alive (/livez) or,
with --ready, whether it can do its work (/readyz). For health checks of containers:
it needs no shell, no token and no secret, and of the configuration nothing but
admin.listen and the certificate of admin.tls.

Exit codes: 0 when the gateway is well, 1 when it is not or does not answer, 2
for a command line or a configuration that can't be used.`,
		Example: `  sallyport health
  sallyport health --ready -c /etc/sallyport/config.yaml
  sallyport health --url http://127.0.0.1:9080
  sallyport health --url unix:///run/sallyport/admin.sock`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if timeout <= 0 {
				return errors.New("--timeout: write how long to wait, such as 3s")
			}
			c, err := healthClient(file, at)
			if err != nil {
				return err
			}
			if err := tls.use(c); err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), timeout)
			defer cancel()
			path := "/livez"
			if ready {
				path = "/readyz"
			}
			status, err := c.health(ctx, path)
			if err != nil {
				return atRunTime(err)
			}
			fmt.Fprintln(cmd.OutOrStdout(), status)
			return nil
		},
	}
	f := cmd.Flags()
	f.StringVarP(&file, "config", "c", "config.yaml", configFlagHelp)
	f.StringVar(&at, "url", "", "address of the admin listener, http://host:port or unix:///path (default: admin.listen of the configuration)")
	f.StringVar(&tls.caFile, "ca-file", "", "authorities of the admin listener's certificate (default: the certificate of admin.tls itself, or the system's authorities with --url)")
	f.BoolVar(&ready, "ready", false, "ask whether it is ready, and not only alive")
	f.DurationVar(&timeout, "timeout", 3*time.Second, "how long to wait for the answer")
	return cmd
}

// healthClient reaches the listener that at names, or else the one of the file.
func healthClient(file, at string) (*adminClient, error) {
	// Never by way of a proxy: the question is how this very process is.
	c := &adminClient{http: &http.Client{Transport: &http.Transport{}}}
	if strings.HasPrefix(at, "unix:") {
		if err := c.dial(config.Admin{Listen: at}, "--url"); err != nil {
			return nil, fmt.Errorf("--url: write http://host:port or unix:///path: %w", err)
		}
		return c, nil
	}
	if at != "" {
		u, err := url.Parse(at)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" {
			return nil, errors.New("--url: write the address of the admin listener without a path, such as http://127.0.0.1:9080")
		}
		c.base = u.Scheme + "://" + u.Host
		return c, nil
	}
	of, err := config.AdminListen(file, os.Environ())
	if err != nil {
		return nil, err
	}
	return c, c.dial(of, "--url")
}

// health returns what the gateway says of itself, in one line. The error of a
// gateway that is not well names the checks that fail.
func (c *adminClient) health(ctx context.Context, path string) (string, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, c.base+path, nil)
	if err != nil {
		return "", err
	}
	res, err := c.http.Do(r)
	if err != nil {
		return "", fmt.Errorf("the gateway's admin listener does not answer: %w", err)
	}
	defer res.Body.Close() //nolint:errcheck // it was read, or is not wanted
	text, err := io.ReadAll(io.LimitReader(res.Body, maxHealth))
	if err != nil {
		return "", fmt.Errorf("the answer of the gateway can't be read: %w", err)
	}
	var answer struct {
		Status string
		Checks []struct {
			Name, Status string
			Required     bool
		}
	}
	err = json.Unmarshal(text, &answer)
	if err != nil || answer.Status == "" {
		return "", fmt.Errorf("%s%s answers %s, but that is no gateway", c.base, path, res.Status)
	}
	if res.StatusCode == http.StatusOK {
		return answer.Status, nil
	}
	line := []string{answer.Status}
	for _, check := range answer.Checks {
		if check.Required && check.Status != "ok" {
			line = append(line, check.Name+" is "+check.Status)
		}
	}
	return "", errors.New(strings.Join(line, "; "))
}
