<?php
/**
 * What is set: where the server is, which site this is, and the page on which an administrator says so.
 *
 * @package OpsMantik
 */

defined( 'ABSPATH' ) || exit;

/**
 * The settings, complete: what was saved, else what the downloaded plugin came with, else nothing.
 *
 * @return array{server:string,site:string,consent:string,skip_admins:bool,proxy:bool}
 */
function opsmantik_settings() {
	$brought = array();
	if ( is_readable( dirname( __DIR__ ) . '/defaults.php' ) ) {
		$brought = (array) include dirname( __DIR__ ) . '/defaults.php';
	}
	$saved = get_option( 'opsmantik', array() );
	$found = array_merge(
		array(
			'server'      => '',
			'site'        => '',
			'consent'     => 'policy',
			'skip_admins' => true,
			'proxy'       => false,
		),
		$brought,
		is_array( $saved ) ? $saved : array()
	);
	return opsmantik_clean_settings( $found );
}

/**
 * Checks what somebody wrote. What cannot be used is left empty, and the page says so.
 *
 * @param mixed $given The fields of the form.
 * @return array{server:string,site:string,consent:string,skip_admins:bool,proxy:bool}
 */
function opsmantik_clean_settings( $given ) {
	$given  = is_array( $given ) ? $given : array();
	$server = isset( $given['server'] ) ? opsmantik_clean_server( (string) $given['server'] ) : '';
	$site   = isset( $given['site'] ) ? strtolower( str_replace( '-', '', trim( (string) $given['site'] ) ) ) : '';
	return array(
		'server'      => $server,
		'site'        => preg_match( '/^[0-9a-f]{32}$/', $site ) ? $site : '',
		'consent'     => isset( $given['consent'] ) && 'required' === $given['consent'] ? 'required' : 'policy',
		'skip_admins' => ! empty( $given['skip_admins'] ),
		'proxy'       => ! empty( $given['proxy'] ),
	);
}

/**
 * The server's address as scheme, host and port: nothing else of it is ever used, so that requests go nowhere but there.
 *
 * @param string $text What somebody wrote.
 * @return string Empty for what is no such address.
 */
function opsmantik_clean_server( $text ) {
	$text  = trim( $text );
	$text  = false === strpos( $text, '://' ) ? 'https://' . $text : $text;
	$parts = wp_parse_url( $text );
	if ( ! is_array( $parts ) || ! preg_match( '/^https?$/i', isset( $parts['scheme'] ) ? $parts['scheme'] : '' ) ) {
		return '';
	}
	if ( empty( $parts['host'] ) || isset( $parts['user'] ) || isset( $parts['pass'] ) ) {
		return '';
	}
	if ( ! preg_match( '/^(?:[a-z0-9_-]+(?:\.[a-z0-9_-]+)*|\[[0-9a-f:.]+\])$/i', $parts['host'] ) ) {
		return '';
	}
	$port = isset( $parts['port'] ) ? ':' . (int) $parts['port'] : '';
	return strtolower( $parts['scheme'] . '://' . $parts['host'] ) . $port;
}

/**
 * The secret that reports of calls are signed with. It is never printed, neither here nor into a page.
 *
 * @return string Empty: none is set.
 */
function opsmantik_secret() {
	if ( defined( 'OPSMANTIK_CALL_SECRET' ) ) {
		return (string) OPSMANTIK_CALL_SECRET;
	}
	return (string) get_option( 'opsmantik_call_secret', '' );
}

/** Puts the page into the menu of settings. */
function opsmantik_add_page() {
	add_options_page( 'OpsMantik', 'OpsMantik', 'manage_options', 'opsmantik', 'opsmantik_show_page' );
}

/** Lets WordPress save the settings: it checks who asks, and the form's nonce. */
function opsmantik_register_settings() {
	register_setting(
		'opsmantik',
		'opsmantik',
		array(
			'type'              => 'object',
			'sanitize_callback' => 'opsmantik_clean_settings',
			'show_in_rest'      => false,
		)
	);
}

/** Saves or removes the secret. A form of its own, because an option page would show what is saved. */
function opsmantik_save_secret() {
	if ( ! current_user_can( 'manage_options' ) ) {
		wp_die( esc_html__( 'You may not change this.', 'opsmantik' ), '', array( 'response' => 403 ) );
	}
	check_admin_referer( 'opsmantik_secret' );
	$secret = isset( $_POST['secret'] ) ? trim( sanitize_text_field( wp_unslash( $_POST['secret'] ) ) ) : '';
	if ( isset( $_POST['remove'] ) ) {
		delete_option( 'opsmantik_call_secret' );
	} elseif ( '' !== $secret ) {
		update_option( 'opsmantik_call_secret', $secret, false );
	}
	wp_safe_redirect( admin_url( 'options-general.php?page=opsmantik' ) );
	exit;
}

/** The page. */
function opsmantik_show_page() {
	if ( ! current_user_can( 'manage_options' ) ) {
		return;
	}
	$settings = opsmantik_settings();
	?>
<div class="wrap">
	<h1>OpsMantik</h1>
	<?php if ( '' === $settings['server'] || '' === $settings['site'] ) { ?>
	<div class="notice notice-warning"><p><?php esc_html_e( 'Nothing is on your pages yet: the server address or the site id is missing or not readable.', 'opsmantik' ); ?></p></div>
	<?php } ?>
	<form method="post" action="options.php">
		<?php settings_fields( 'opsmantik' ); ?>
		<table class="form-table" role="presentation">
			<tr>
				<th scope="row"><label for="opsmantik-server"><?php esc_html_e( 'Server address', 'opsmantik' ); ?></label></th>
				<td><input id="opsmantik-server" class="regular-text code" name="opsmantik[server]" type="url" required value="<?php echo esc_attr( $settings['server'] ); ?>" placeholder="https://leads.example.com"></td>
			</tr>
			<tr>
				<th scope="row"><label for="opsmantik-site"><?php esc_html_e( 'Site id', 'opsmantik' ); ?></label></th>
				<td><input id="opsmantik-site" class="regular-text code" name="opsmantik[site]" required value="<?php echo esc_attr( $settings['site'] ); ?>">
					<p class="description"><?php esc_html_e( 'The 32 letters and digits on the install page of your site in OpsMantik.', 'opsmantik' ); ?></p></td>
			</tr>
			<tr>
				<th scope="row"><label for="opsmantik-consent"><?php esc_html_e( 'Consent', 'opsmantik' ); ?></label></th>
				<td><select id="opsmantik-consent" name="opsmantik[consent]">
						<option value="policy" <?php selected( $settings['consent'], 'policy' ); ?>><?php esc_html_e( 'Measure from the start', 'opsmantik' ); ?></option>
						<option value="required" <?php selected( $settings['consent'], 'required' ); ?>><?php esc_html_e( 'Wait for the visitor’s consent', 'opsmantik' ); ?></option>
					</select>
					<p class="description"><?php esc_html_e( 'When it waits, your consent banner has to call opsmantik("consent", {analytics: true, marketing: true}).', 'opsmantik' ); ?></p></td>
			</tr>
			<tr>
				<th scope="row"><?php esc_html_e( 'Administrators', 'opsmantik' ); ?></th>
				<td><label><input type="checkbox" name="opsmantik[skip_admins]" value="1" <?php checked( $settings['skip_admins'] ); ?>> <?php esc_html_e( 'Leave out administrators who are signed in', 'opsmantik' ); ?></label></td>
			</tr>
			<tr>
				<th scope="row"><?php esc_html_e( 'Own address', 'opsmantik' ); ?></th>
				<td><label><input type="checkbox" name="opsmantik[proxy]" value="1" <?php checked( $settings['proxy'] ); ?>> <?php esc_html_e( 'Load the script from this site, and send its events through it', 'opsmantik' ); ?></label>
					<p class="description"><?php esc_html_e( 'Then OpsMantik must trust this server (OPSMANTIK_TRUSTED_PROXIES): otherwise all visitors seem to come from its address.', 'opsmantik' ); ?></p></td>
			</tr>
		</table>
		<?php submit_button(); ?>
	</form>
	<h2><?php esc_html_e( 'Signed reports of calls', 'opsmantik' ); ?></h2>
	<p><?php esc_html_e( 'For other plugins and telephone systems that report calls through this site. The secret stays on this server.', 'opsmantik' ); ?></p>
	<?php if ( defined( 'OPSMANTIK_CALL_SECRET' ) ) { ?>
	<p><?php esc_html_e( 'A secret is set in wp-config.php.', 'opsmantik' ); ?></p>
	<?php } else { ?>
	<form method="post" action="<?php echo esc_url( admin_url( 'admin-post.php' ) ); ?>">
		<input type="hidden" name="action" value="opsmantik_secret">
		<?php wp_nonce_field( 'opsmantik_secret' ); ?>
		<p><?php echo '' === opsmantik_secret() ? esc_html__( 'No secret is set.', 'opsmantik' ) : esc_html__( 'A secret is set.', 'opsmantik' ); ?></p>
		<p><label for="opsmantik-secret"><?php esc_html_e( 'New secret', 'opsmantik' ); ?></label>
			<input id="opsmantik-secret" class="regular-text code" name="secret" type="password" autocomplete="off" value=""></p>
		<p><button class="button" type="submit"><?php esc_html_e( 'Save the secret', 'opsmantik' ); ?></button>
			<button class="button" type="submit" name="remove" value="1"><?php esc_html_e( 'Remove it', 'opsmantik' ); ?></button></p>
	</form>
	<?php } ?>
</div>
	<?php
}
